# Two targets do all their own set-up: `make demo` shows the main job on the built-in lab, `make test` passes the tests.
.PHONY: help demo test check build fmt

help:
	@echo 'make demo   build piton, bring up the built-in lab, run the guarded runbook on it, tear it down'
	@echo 'make test   install what the tests need (apt-get, as root), run all of them'
	@echo 'make check  formatting and clippy, warnings are errors'
	@echo 'make build  target/debug/piton'

build:
	@command -v cargo >/dev/null || { echo 'piton is built with Rust: install it from your distribution or with rustup'; exit 1; }
	cargo build --locked

demo: build
	@sh .ci/packages sshd:openssh-server curl:curl perl:perl-base unshare:util-linux
	target/debug/piton demo

test:
	@sh .ci/packages sshd:openssh-server curl:curl perl:perl-base unshare:util-linux tcsh:tcsh posh:posh \
	    busybox:busybox sudo:sudo newuidmap:uidmap openssl:openssl script:bsdutils
	cargo test --locked

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

fmt:
	cargo fmt
