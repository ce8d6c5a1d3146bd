//! Stand-in until `cli` has its own: faces, then `piton lab ...`.

use piton::lab::{self, LabError, Layout, Lever, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let Some(code) = lab::faces::run(&args) {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made on any Linux");
    match runtime.block_on(run(&args[1..])) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &[String]) -> Result<u8, LabError> {
    let mut args = args.to_vec();
    let at = args.iter().position(|a| a == "--dir");
    let dir = at.map(|at| args.drain(at..at + 2).next_back().unwrap_or_default().into());
    let layout = Layout::new(dir.as_deref())?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["lab", "up"] => {
            let up = lab::up(Options { dir, piton: None }, &|what| eprintln!("  {what}")).await?;
            println!("{up:#?}");
        }
        ["lab", "down"] => lab::down(&layout).await?,
        ["lab", "status"] => println!("{:#?}", lab::status(&layout).await?),
        ["lab", "serve"] => lab::serve(layout).await?,
        ["lab", "shell", host, ..] => {
            return Ok(u8::try_from(lab::shell(&layout, host, &args[3..]).await?).unwrap_or(255));
        }
        ["demo"] => {
            let state_dir = std::path::PathBuf::from("/tmp/piton-demo-state");
            let done =
                lab::demo(lab::DemoOptions { state_dir, piton: None, keep: false }, &|l| println!("{l}")).await?;
            println!("{done:#?}");
        }
        ["lab", "lever", ..] => println!("{}", lab::lever(&layout, Lever::parse(&args[2..])?).await?),
        ["lab", "ask", json] => {
            let request = serde_json::from_str(json).map_err(|e| LabError::Usage { what: e.to_string() })?;
            println!("{:?}", lab::ask(&layout, &request).await?);
        }
        _ => return Err(LabError::Usage { what: "piton lab up|down|status|shell|lever".into() }),
    }
    Ok(0)
}
