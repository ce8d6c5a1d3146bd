//! How long a line that was lost is waited for, and how often it is tried.

use std::time::Duration;
use tokio::time::Instant;

/// Longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(15);

/// The pause after so many tries: 1, 2, 4, 8, 15, 15, ... seconds.
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(4)).min(LONGEST)
}

/// Counts tries and time for one loss.
#[derive(Debug)]
pub struct Patience {
    begun: Instant,
    most: Duration,
    tries: u32,
    /// The next try comes without a pause.
    at_once: bool,
}

impl Patience {
    /// For a host that cannot be connected to: the first pause is a second.
    pub fn new(most: Duration) -> Self {
        Self { begun: Instant::now(), most, tries: 0, at_once: false }
    }

    /// For a line that broke in use: the first try comes at once.
    pub fn after_a_loss(most: Duration) -> Self {
        Self { at_once: true, ..Self::new(most) }
    }

    /// Pause before the next try; `None` once the time is up. The last try is at the end of the time.
    pub fn next(&mut self) -> Option<Duration> {
        if std::mem::take(&mut self.at_once) {
            return Some(Duration::ZERO);
        }
        let left = self.most.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return None;
        }
        let pause = pause(self.tries).min(left);
        self.tries += 1;
        Some(pause)
    }

    /// True before the first try after a loss.
    pub fn is_fresh(&self) -> bool {
        self.at_once
    }

    /// It worked for a while: a new loss begins anew.
    pub fn renew(&mut self) {
        *self = Self::after_a_loss(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_time() {
        let mut patience = Patience::new(Duration::from_secs(40));
        let mut seen = Vec::new();
        while let Some(pause) = patience.next() {
            tokio::time::sleep(pause).await;
            seen.push(pause.as_secs());
        }
        assert_eq!(seen, [1, 2, 4, 8, 15, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_there_is_one_try_after_a_loss() {
        let mut patience = Patience::after_a_loss(Duration::ZERO);
        assert_eq!((patience.next(), patience.next()), (Some(Duration::ZERO), None));
        assert_eq!(Patience::new(Duration::ZERO).next(), None);
    }
}
