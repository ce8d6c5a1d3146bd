//! `systemctl` in a guest: texts and codes of systemd 252, real processes behind them.

use crate::ground::{Ground, Said, until};
use piton::lab;

const UNIT: &str = "[Unit]\\nDescription=A test\\n[Service]\\nEnvironment=WORD=hello\\nExecStart=/bin/sh -c 'echo $0 > /run/word; exec sleep 1000' $WORD\\nExecReload=/bin/sh -c 'echo reloaded > /run/word'\\n[Install]\\nWantedBy=multi-user.target\\n";

#[tokio::test(flavor = "multi_thread")]
async fn services_are_really_started_and_stopped() {
    let ground = Ground::up().await;
    let put = |name: &str, text: &str| {
        let said = ground.ssh("extranet", &format!("printf \"{text}\" > /etc/systemd/system/{name}"));
        assert_eq!(said, Said::is(0, "", ""));
    };
    put("t.service", &UNIT.replace('$', "\\$"));
    put("once.service", "[Service]\\nType=oneshot\\nExecStart=/bin/sh -c 'exit 4'\\n");
    put("die.service", "[Service]\\nExecStart=/bin/sh -c 'exit 4'\\n");
    let wants = "/etc/systemd/system/multi-user.target.wants/t.service";
    let failed = "Job for once.service failed because the control process exited with error code.\nSee \"systemctl status once.service\" and \"journalctl -xeu once.service\" for details.\n";
    let table = [
        ("systemctl is-active t", Said::is(3, "inactive\n", "")),
        ("systemctl is-enabled t", Said::is(1, "disabled\n", "")),
        ("systemctl start t.service", Said::is(0, "", "")),
        ("systemctl is-active t", Said::is(0, "active\n", "")),
        (
            "timeout 5 sh -c 'until [ -s /run/word ]; do sleep 0.01; done'; cat /run/word; pgrep -fc 'sleep [1]000'",
            Said::is(0, "hello\n1\n", ""),
        ),
        ("systemctl reload t; cat /run/word", Said::is(0, "reloaded\n", "")),
        ("systemctl enable t", Said::is(0, "", &format!("Created symlink {wants} → /etc/systemd/system/t.service.\n"))),
        ("systemctl is-enabled t", Said::is(0, "enabled\n", "")),
        (
            "systemctl show -p UnitFileState,LoadState,ActiveState,Type,Result,RemainAfterExit t",
            Said::is(
                0,
                "Type=simple\nRemainAfterExit=no\nResult=success\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n",
                "",
            ),
        ),
        ("systemctl stop t; pgrep -fc 'sleep [1]000'", Said::is(1, "0\n", "")),
        ("systemctl disable t", Said::is(0, "", &format!("Removed \"{wants}\".\n"))),
        ("systemctl start nosuch", Said::is(5, "", "Failed to start nosuch.service: Unit nosuch.service not found.\n")),
        ("systemctl stop nosuch", Said::is(5, "", "Failed to stop nosuch.service: Unit nosuch.service not loaded.\n")),
        ("systemctl is-active nosuch", Said::is(3, "inactive\n", "")),
        (
            "systemctl is-enabled nosuch",
            Said::is(1, "", "Failed to get unit file state for nosuch.service: No such file or directory\n"),
        ),
        (
            "systemctl show -p LoadState -p ActiveState nosuch",
            Said::is(0, "LoadState=not-found\nActiveState=inactive\n", ""),
        ),
        ("systemctl start once", Said::is(1, "", failed)),
        ("systemctl is-active once", Said::is(3, "failed\n", "")),
        ("systemctl start die", Said::is(0, "", "")),
        (
            "timeout 5 sh -c 'while systemctl -q is-active die; do sleep 0.01; done'; systemctl is-active die",
            Said::is(3, "failed\n", ""),
        ),
        ("systemctl daemon-reload", Said::is(0, "", "")),
        ("systemctl edit t", Said::is(1, "", "piton lab: not simulated: systemctl edit t\n")),
        ("systemctl --user start t", Said::is(1, "", "piton lab: not simulated: systemctl --user\n")),
        ("systemctl restart ssh; systemctl is-active ssh", Said::is(0, "active\n", "")),
    ];
    for (command, want) in table {
        assert_eq!(ground.ssh("extranet", command), want, "{command}");
    }
    // A restarted sshd needs a moment until it listens, here as on a real host.
    until("the sshd answers again", || ground.ssh("extranet", "hostname").out == "extranet\n");
    lab::down(&ground.layout).await.unwrap();
}
