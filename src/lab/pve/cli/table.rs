//! Tables with box-drawing lines, as the real tools print them, and the same without.

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its title.
    pub title: String,
    /// Its alignment, of the title too.
    pub align: Align,
}

/// How a table is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dress {
    /// With lines.
    pub border: bool,
    /// With titles.
    pub header: bool,
}

fn pad(text: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

/// Draws a table; each row has one text a column.
pub fn draw(columns: &[Column], rows: &[Vec<String>], dress: Dress) -> String {
    let width = |at: usize| {
        // The titles make room for themselves even where they are not shown.
        let title = columns[at].title.chars().count();
        rows.iter().map(|row| row[at].chars().count()).chain([title]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let cells = |row: &[String]| -> Vec<String> {
        row.iter().zip(columns).zip(&widths).map(|((text, column), width)| pad(text, *width, column.align)).collect()
    };
    let titles: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
    if !dress.border {
        let mut lines: Vec<String> = Vec::new();
        if dress.header {
            lines.push(cells(&titles).join(" "));
        }
        lines.extend(rows.iter().map(|row| cells(row).join(" ")));
        return lines.iter().map(|line| format!("{line}\n")).collect();
    }
    let rule = |left: &str, line: &str, cross: &str, right: &str| {
        let parts: Vec<_> = widths.iter().map(|width| line.repeat(width + 2)).collect();
        format!("{left}{}{right}\n", parts.join(cross))
    };
    let body = |row: &[String]| format!("│ {} │\n", cells(row).join(" │ "));
    let mut text = rule("┌", "─", "┬", "┐");
    if dress.header {
        text.push_str(&body(&titles));
        text.push_str(&rule("╞", "═", "╪", "╡"));
    }
    let rows: Vec<String> = rows.iter().map(|row| body(row)).collect();
    text.push_str(&rows.join(&rule("├", "─", "┼", "┤")));
    text.push_str(&rule("└", "─", "┴", "┘"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_lines_or_none() {
        let column = |title: &str, align| Column { title: title.into(), align };
        let columns = [column("key", Align::Left), column("n", Align::Right)];
        let rows = [vec!["a".to_owned(), "10".to_owned()]];
        let with = draw(&columns, &rows, Dress { border: true, header: true });
        assert_eq!(with, "┌─────┬────┐\n│ key │  n │\n╞═════╪════╡\n│ a   │ 10 │\n└─────┴────┘\n");
        assert_eq!(draw(&columns, &rows, Dress { border: false, header: false }), "a   10\n");
    }
}
