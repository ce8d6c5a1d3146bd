//! Options that every subcommand takes.

use super::Stop;
use crate::journal::StateDir;
use crate::report::paint::Paint;
use crate::report::screen::Format;
use crate::report::text::{Options, Verbosity};
use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Options that every subcommand takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// `-i`.
    #[arg(
        help = "Inventory [default: $PITON_INVENTORY, else the project's only one]",
        short,
        long,
        global = true,
        value_name = "FILE"
    )]
    pub inventory: Option<PathBuf>,
    /// Say only what failed, and the result.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also show commands, live output and whole diffs.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// `text` for people, or `json`: one object a line.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub format: FormatArg,
    /// `--color`.
    #[arg(
        help = "Colours: auto, always or never; NO_COLOR means never",
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub color: When,
    /// Where runs are kept [default: ~/.local/state/piton].
    #[arg(long, global = true, value_name = "DIR", env = "PITON_STATE_DIR", hide_env = true)]
    pub state_dir: Option<PathBuf>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Lines for people.
    Text,
    /// One object a line.
    Json,
    /// Markdown, for `report` only.
    Md,
    /// HTML, for `report` only.
    Html,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Global {
    /// Colours for standard output.
    pub fn paint(&self) -> Paint {
        Paint { on: self.colours(std::io::stdout().is_terminal()) }
    }

    /// Colours for standard error.
    pub fn paint_errors(&self) -> Paint {
        Paint { on: self.colours(std::io::stderr().is_terminal()) }
    }

    fn colours(&self, terminal: bool) -> bool {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// True for `--format json`.
    pub fn json(&self) -> bool {
        self.format == FormatArg::Json
    }

    /// `--format` as the display wants it.
    pub fn screen_format(&self) -> Format {
        if self.json() { Format::Json } else { Format::Text }
    }

    /// `-q` and `-v`.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }

    /// How lines are made; names the folder of the runs at the end of a run.
    pub fn options(&self) -> Options {
        let runs = self.state().ok().map(|state| state.path().join("runs").display().to_string());
        Options { verbosity: self.verbosity(), paint: self.paint(), runs }
    }

    /// Where runs are kept: `--state-dir`, else `$XDG_STATE_HOME/piton`, else `~/.local/state/piton`.
    ///
    /// # Errors
    /// Bad input, if there is neither option nor home.
    pub fn state(&self) -> Result<StateDir, Stop> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let path = match &self.state_dir {
            Some(path) => path.clone(),
            None => match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
                (Some(state), _) => state.join("piton"),
                (None, Some(home)) => home.join(".local/state/piton"),
                (None, None) => {
                    return Err(
                        Stop::input("where runs are kept is not known: HOME is not set").hint("use --state-dir")
                    );
                }
            },
        };
        Ok(StateDir::at(path))
    }
}
