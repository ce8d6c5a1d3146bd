//! The demo, as `make demo` runs it: it must do what it says, and leave its reports and nothing else.

use crate::ground::{PITON, Said, processes};
use std::process::Command;

#[test]
fn the_demo_does_what_it_says_and_leaves_its_reports() {
    let state = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PITON);
    demo.args(["demo", "--state-dir"]).arg(state.path()).env("NO_COLOR", "1");
    let said = Said::of(demo.output().unwrap());
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let mark = |text: &str| said.out.find(text).unwrap_or_else(|| panic!("`{text}` is not in:\n{}", said.out));
    let story = [
        "$ piton plan",
        "Plan: 6 will change",
        "### 3. The run",
        "  snapshot extranet",
        "Result: done",
        "### 4. The same again",
        "extranet     7        0        0       0",
        "### 5. A release that goes wrong",
        "+release = 2",
        "  failed   extranet  all is well",
        "  back     extranet",
        "/opt/extranet/site.conf is as it was before the run, and the guest runs again.",
        "the demo took",
    ];
    let places: Vec<usize> = story.iter().map(|text| mark(text)).collect();
    assert!(places.is_sorted(), "not in this order: {story:?}\n{}", said.out);
    assert!(!said.out.contains("NPM_PASSWORD=lab-"), "the secret was shown:\n{}", said.out);

    let reports: Vec<&str> = said.out.lines().filter_map(|l| l.strip_prefix("  report: ")).collect();
    let reports: Vec<&str> = reports.into_iter().filter(|path| path.ends_with("report.md")).collect();
    assert_eq!(reports.len(), 3, "{}", said.out);
    for report in reports {
        assert!(std::path::Path::new(report).is_file(), "{report}");
    }
    let home = said.out.lines().find_map(|l| l.strip_prefix("$ cd ")).unwrap();
    assert!(!std::path::Path::new(home).exists());
    assert!(!processes().iter().any(|(_, line)| line.contains(home)));
}
