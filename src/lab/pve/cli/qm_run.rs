//! From an API answer to what a tool prints: refusals, and tasks that run "in the foreground".

use super::{CallError, Caller, Printed};
use crate::lab::pve::backdoor::FaceAnswer;
use crate::lab::pve::worker::Stream;

/// Puts the console lines of a call into place.
pub fn console(answer: &FaceAnswer, printed: &mut Printed) {
    for (stream, line) in &answer.console {
        match stream {
            Stream::Out => printed.out.push_str(&format!("{line}\n")),
            Stream::Err => printed.err.push_str(&format!("{line}\n")),
        }
    }
}

/// A refused call, with the usage line that follows wrong parameters.
pub fn refused(answer: &FaceAnswer, usage: &str) -> Printed {
    let mut printed = Printed { code: answer.errno, ..Printed::default() };
    console(answer, &mut printed);
    if answer.errors.is_empty() {
        // The real tools die on characters beyond Latin-1 with a warning of Perl's, and then say it all the same.
        if !answer.message.is_ascii() {
            printed.err.push_str("Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line 1008.\n");
        }
        printed.err.push_str(&format!("{}\n", answer.message));
        return printed;
    }
    printed.err.push_str("400 Parameter verification failed.\n");
    for (key, message) in &answer.errors {
        printed.err.push_str(&format!("{key}: {message}\n"));
    }
    printed.err.push_str(&format!("{usage}\n"));
    printed
}

/// True if the call was carried out.
pub fn accepted(answer: &FaceAnswer) -> bool {
    answer.status == 200
}

/// The UPID that a call answered.
pub fn upid(answer: &FaceAnswer) -> Option<&str> {
    answer.data.as_str().filter(|text| text.starts_with("UPID:"))
}

/// Waits for the task of an accepted call; its log goes to standard output, its error to standard error.
///
/// # Errors
/// The server cannot be reached.
pub async fn foreground(caller: &dyn Caller, answer: &FaceAnswer) -> Result<Printed, CallError> {
    let mut printed = Printed::default();
    console(answer, &mut printed);
    let Some(upid) = upid(answer) else { return Ok(printed) };
    let end = caller.wait(upid).await?;
    for line in &end.log {
        printed.out.push_str(&format!("{line}\n"));
    }
    if end.exit != "OK" && !end.exit.starts_with("WARNINGS: ") {
        printed.err.push_str(&format!("{}\n", end.exit));
        printed.code = 255;
    }
    Ok(printed)
}
