//! One channel with the shell loop on it: what has been read of its two streams, and its start, through sudo or not.

use super::channel::{Channel, Dial, Reader, Writer};
use super::frame;
use super::parse::{Event, Mark, Parser};
use super::{Stream, TransportError};
use sha2::{Digest, Sha256};
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// How long a login shell may take to start.
pub const START: Duration = Duration::from_secs(60);

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What is kept of what a login shell prints before the loop says hello.
const NOISE: usize = 8 * 1024;

/// A channel with the loop on it.
pub struct Line {
    /// `None` once it is closed.
    pub stdin: Option<Writer>,
    /// Standard output.
    pub out: Half,
    /// Standard error.
    pub err: Half,
    /// Process of the loop, once it has said hello.
    pub pid: Option<u32>,
    /// The command that runs: its process and whether that is a group.
    pub running: Option<(u32, bool)>,
    /// True while an exchange is under way: a line found so was abandoned and must not be used again.
    pub busy: bool,
    /// Number of the next command.
    pub next_id: u64,
    login: Arc<OnceLock<String>>,
    /// Whatever has to live as long.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// One of the two streams.
pub struct Half {
    reader: Reader,
    parser: Parser,
    buffer: Vec<u8>,
    /// True once the loop said hello on it; what came before is the login shell's.
    pub greeted: bool,
    /// True at its end.
    pub closed: bool,
    /// The first of what came before the hello.
    pub noise: Vec<u8>,
}

impl Half {
    fn new(reader: Reader, nonce: &str) -> Self {
        let parser = Parser::new(nonce);
        Self { reader, parser, buffer: vec![0; CHUNK], greeted: false, closed: false, noise: Vec::new() }
    }

    /// Reads once; the number of bytes is 0 at the end. Safe to drop and call again.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&mut self) -> std::io::Result<usize> {
        self.reader.read(&mut self.buffer).await
    }

    /// Takes what [`read`](Self::read) brought.
    ///
    /// # Errors
    /// A text if the stream cannot be understood.
    pub fn take(&mut self, read: std::io::Result<usize>, sink: &mut impl FnMut(Event<'_>)) -> Result<(), String> {
        let (greeted, noise) = (&mut self.greeted, &mut self.noise);
        let mut sink = |event: Event<'_>| match event {
            Event::Bytes(bytes) if !*greeted => {
                noise.extend_from_slice(&bytes[..bytes.len().min(NOISE - noise.len().min(NOISE))]);
            }
            Event::Mark(Mark::Hello { pid, user }) => {
                *greeted = true;
                sink(Event::Mark(Mark::Hello { pid, user }));
            }
            other => sink(other),
        };
        match read {
            Ok(0) => {
                self.closed = true;
                self.parser.finish(&mut sink);
                Ok(())
            }
            Ok(n) => self.parser.push(&self.buffer[..n], &mut sink).map_err(|e| e.to_string()),
            Err(error) => {
                self.closed = true;
                Err(error.to_string())
            }
        }
    }
}

/// How to become another user.
pub struct Become<'a> {
    /// The user.
    pub user: &'a str,
    /// Password for sudo.
    pub password: Option<Zeroizing<String>>,
}

impl Line {
    /// Opens a channel and starts the loop on it, as the login user, without waiting for it. `login` is told the
    /// name of that user once it is known.
    ///
    /// # Errors
    /// As [`Dial::dial`].
    pub async fn open(dial: &dyn Dial, login: Arc<OnceLock<String>>) -> Result<Self, TransportError> {
        let nonce = nonce();
        let channel = dial.dial(&frame::exec_line(&nonce, &[])).await?;
        Ok(Self::over(channel, &nonce, login))
    }

    /// The same as another user, through sudo; returns when the loop stands. The password is written only when sudo
    /// asks for it: without a question it would become the input of a command.
    ///
    /// # Errors
    /// [`TransportError::Become`] with what sudo said; nothing was done.
    pub async fn open_as(dial: &dyn Dial, who: Become<'_>) -> Result<Self, TransportError> {
        let fail = |why: String| TransportError::Become { host: dial.host().into(), user: who.user.into(), why };
        if !frame::is_plain(who.user) {
            return Err(fail("that is not a user name".into()));
        }
        let nonce = nonce();
        if let Some(dialed) = dial.dial_as(who.user, &frame::exec_line(&nonce, &[])) {
            let mut line = Self::over(dialed.await?, &nonce, Arc::default());
            return match tokio::time::timeout(START, line.greet()).await {
                Ok(Ok(())) => Ok(line),
                Ok(Err(why)) => Err(fail(why)),
                Err(_) => Err(fail(format!("no answer within {} s", START.as_secs()))),
            };
        }
        let prompt = format!("piton-{nonce}:");
        let mut wrap: Vec<String> = vec!["sudo".into()];
        match who.password {
            Some(_) => wrap.extend(["-S", "-p", prompt.as_str()].map(String::from)),
            None => wrap.push("-n".into()),
        }
        wrap.extend(["-H", "-u", who.user, "--"].map(String::from));
        let channel = dial.dial(&frame::exec_line(&nonce, &wrap)).await?;
        let mut line = Self::over(channel, &nonce, Arc::default());
        match tokio::time::timeout(START, line.pass_sudo(&prompt, who.password.as_ref())).await {
            Ok(Ok(())) => Ok(line),
            Ok(Err(why)) => Err(fail(why)),
            Err(_) => Err(fail(format!("no answer within {} s", START.as_secs()))),
        }
    }

    fn over(channel: Channel, nonce: &str, login: Arc<OnceLock<String>>) -> Self {
        Self {
            stdin: Some(channel.stdin),
            out: Half::new(channel.stdout, nonce),
            err: Half::new(channel.stderr, nonce),
            pid: None,
            running: None,
            busy: false,
            next_id: 1,
            login,
            keep: channel.keep,
        }
    }

    /// Reads until the loop has said hello.
    ///
    /// # Errors
    /// A text if it does not.
    pub async fn greet(&mut self) -> Result<(), String> {
        while !self.out.greeted {
            self.step().await?;
            if self.out.closed {
                return Err(self.said(Stream::Err).or_else(|| self.said(Stream::Out)).unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn pass_sudo(&mut self, prompt: &str, password: Option<&Zeroizing<String>>) -> Result<(), String> {
        let mut asked = 0;
        while !self.out.greeted {
            self.step().await?;
            let prompts = memchr::memmem::find_iter(&self.err.noise, prompt).count();
            if prompts > asked {
                let Some(password) = password.filter(|_| asked == 0) else {
                    return Err("sudo does not accept the password".into());
                };
                asked = prompts;
                let answer = Zeroizing::new(format!("{}\n", password.as_str()));
                if let Some(stdin) = &mut self.stdin {
                    stdin.write_all(answer.as_bytes()).await.map_err(|e| e.to_string())?;
                    stdin.flush().await.map_err(|e| e.to_string())?;
                }
            }
            if self.out.closed && self.err.closed {
                let said = self.said(Stream::Err).or_else(|| self.said(Stream::Out));
                return Err(said.unwrap_or_else(|| "sudo ended without a word".into()).replace(prompt, ""));
            }
        }
        Ok(())
    }

    /// Reads once from whichever stream has something, before any command was sent.
    async fn step(&mut self) -> Result<(), String> {
        let mut hello = None;
        let mut sink = |event: Event<'_>| {
            if let Event::Mark(Mark::Hello { pid: Some(pid), user }) = event {
                hello = Some((pid, user));
            }
        };
        tokio::select! {
            read = self.out.read(), if !self.out.closed => self.out.take(read, &mut sink)?,
            read = self.err.read(), if !self.err.closed => self.err.take(read, &mut sink)?,
            else => return Ok(()),
        }
        if let Some((pid, user)) = hello {
            self.greeted(pid, user);
        }
        Ok(())
    }

    /// Takes a hello.
    pub fn greeted(&mut self, pid: u32, user: String) {
        self.pid = Some(pid);
        // A second loop of the same user says the same.
        let _ = self.login.set(user);
    }

    /// The last thing printed on a stream before the hello: what `nologin` or sudo has to say.
    pub fn said(&self, stream: Stream) -> Option<String> {
        let half = if stream == Stream::Out { &self.out } else { &self.err };
        let text = String::from_utf8_lossy(&half.noise);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(String::from)
    }
}

/// 128 bits that no output holds by chance, in hex. Random from the hasher keys of the standard library, which the
/// system seeds, with counter and time.
pub fn nonce() -> String {
    use std::hash::{BuildHasher, RandomState};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut hash = Sha256::new();
    for round in 0..4u64 {
        hash.update(RandomState::new().hash_one((count, round, std::process::id())).to_le_bytes());
    }
    hash.update(format!("{:?}", std::time::SystemTime::now()));
    let mut text = String::with_capacity(32);
    for byte in &hash.finalize()[..16] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
