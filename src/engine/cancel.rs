//! The operator's wish to stop: once in order, twice by killing what runs; the third time the program just leaves.

use tokio::sync::watch;

/// How much the operator wants out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    Go,
    /// Finish the action under way, then stop.
    Stop,
    /// Kill what runs on the hosts, then stop.
    Kill,
}

/// Both ends of the wish.
#[derive(Debug, Clone)]
pub struct Cancel {
    level: watch::Sender<Level>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self { level: watch::channel(Level::Go).0 }
    }
}

impl Cancel {
    /// Raises the level by one and returns it; `None` if it was the highest already.
    pub fn raise(&self) -> Option<Level> {
        let next = match self.level() {
            Level::Go => Level::Stop,
            Level::Stop => Level::Kill,
            Level::Kill => return None,
        };
        self.level.send_replace(next);
        Some(next)
    }

    /// The level now.
    pub fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// True once the operator wants to stop.
    pub fn is_wanted(&self) -> bool {
        self.level() != Level::Go
    }

    /// Ends when the level is at least this.
    pub async fn reached(&self, level: Level) {
        let mut watch = self.level.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = watch.wait_for(|l| *l >= level).await;
    }
}
