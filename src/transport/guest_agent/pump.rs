//! Carries the three streams of a channel to and from a session.

use super::session::{Ask, PIECE, Session};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::time::sleep;
use zeroize::Zeroizing;

/// Between two looks: while something goes on, and at most. A session that nobody looks at for 20 s ends.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(3));

/// Fiftieths of a second that a look waits in the guest for output.
const WAIT: u32 = 10;

/// Pieces in the guest that nobody has read: no more are sent before some are.
const WAITING: usize = 32;

/// One channel.
pub struct Pump {
    /// Its far end.
    pub session: Session,
    /// What is to be sent.
    pub input: DuplexStream,
    /// Where its standard output goes.
    pub out: DuplexStream,
    /// Where its standard error goes.
    pub err: DuplexStream,
    /// Ends when the channel is let go.
    pub dropped: oneshot::Receiver<()>,
}

impl Pump {
    /// Runs until the far end ends, the channel is let go, or the agent is lost.
    ///
    /// # Errors
    /// Why it is lost.
    pub async fn run(self) -> Result<(), String> {
        let Self { session, mut input, mut out, mut err, mut dropped } = self;
        let (mut number, mut known) = (0, (0, 0));
        let (mut eof, mut waiting) = (false, 0);
        let mut pause = LOOKS.0;
        let mut buffer = Zeroizing::new(vec![0; PIECE]);
        let ended = loop {
            let mut len = 0;
            tokio::select! {
                _ = &mut dropped => break Ok(()),
                read = input.read(&mut buffer), if !eof && waiting < WAITING => match read {
                    Ok(n) if n > 0 => len = n,
                    _ => eof = true,
                },
                () = sleep(pause) => {}
            }
            let piece = (len > 0).then_some((number, &buffer[..len]));
            let wait = if len == PIECE || waiting >= WAITING { 0 } else { WAIT };
            let turn = match session.turn(&Ask { piece, known, eof, wait }).await {
                Ok(turn) => turn,
                Err(why) => break Err(why),
            };
            number += u64::from(len > 0);
            waiting = turn.waiting;
            known = (known.0 + turn.out.len() as u64, known.1 + turn.err.len() as u64);
            let quiet = turn.out.is_empty() && turn.err.is_empty() && len == 0;
            // Nobody reads any more: then the channel is about to be let go.
            let _ = out.write_all(&turn.out).await;
            let _ = err.write_all(&turn.err).await;
            if turn.end && known.0 >= turn.there.0 && known.1 >= turn.there.1 {
                break Ok(());
            }
            pause = if quiet { (pause * 2).min(LOOKS.1) } else { LOOKS.0 };
        };
        if ended.is_ok() {
            drop((out, err));
            session.end().await;
        }
        ended
    }
}
