//! Texts that the user wrote, places in them, and what is wrong there.

use std::sync::Arc;

/// Index of a file in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// File.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A text with its name.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path as the user knows it, or `--set`, `lab`.
    pub name: String,
    /// Content.
    pub text: Arc<str>,
}

/// All texts of one load.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> FileId {
        self.files.push(SourceFile { name: name.into(), text: text.into() });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The file; `None` for an id of other sources.
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// The same texts with every byte of these spans as `*`: what must not be shown.
    #[must_use]
    pub fn masked(&self, spans: &[Span]) -> Self {
        let mut files = self.files.clone();
        for span in spans {
            let Some(file) = files.get_mut(span.file.0 as usize) else { continue };
            let (start, end) = (span.start as usize, span.end as usize);
            if let (Some(before), Some(hidden), Some(after)) =
                (file.text.get(..start), file.text.get(start..end), file.text.get(end..))
            {
                let stars: String = hidden.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
                file.text = format!("{before}{stars}{after}").into();
            }
        }
        Self { files }
    }

    /// `file:line:col` of the span's start, both from 1, columns in characters.
    pub fn place(&self, span: Span) -> String {
        let Some(file) = self.get(span.file) else { return "?".to_string() };
        let start = (span.start as usize).min(file.text.len());
        let before = file.text.get(..start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let col = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{}:{line}:{col}", file.name)
    }
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program goes on.
    Warning,
    /// It does not.
    Error,
}

/// One thing that is wrong in what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// `P0101`; `piton explain P0101` tells more.
    pub code: &'static str,
    /// What is wrong, one line.
    pub message: String,
    /// Where; `None` for a missing file.
    pub span: Option<Span>,
    /// Beside the caret.
    pub label: String,
    /// A second place (`first set here`).
    pub also: Option<Box<(Span, String)>>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: Some(span),
            label: String::new(),
            also: None,
            hint: None,
        }
    }

    /// The same with a text beside the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.also = Some(Box::new((span, text.into())));
        self
    }
}
