//! Attempts to reach something outside: each has a secret to print, a file to change and a directory to empty.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use sbx_runtime::{Action, Policy, Workspace};
use sbx_wasi::Sandbox;
use std::path::Path;
use std::time::Duration;

const SECRET: &str = "the-secret-outside";

/// `$S` is the secret, `$T` a file to be changed, `$D` a directory that holds `x`; each by its path on the host.
const ATTEMPTS: &[&str] = &[
    // By path.
    "cat $S",
    "cat ../outside/secret",
    "cat ../../../../../../../../../..$S",
    "cat ./././..//outside/secret",
    "head -c 99 $S; tail $S; tac $S; nl $S; od -c $S; base64 $S; sort $S; wc $S; grep . $S; sed -n p $S; awk 1 $S",
    "diff /dev/null $S; cmp a.txt $S; comm a.txt $S; paste $S; cut -c1- $S; fold $S; rev $S; xxd $S",
    "cat /etc/shadow /etc/ssh/* /root/.bashrc /proc/self/environ /proc/1/environ /sys/kernel/notes",
    "cat /proc/self/root$S; cat /proc/self/cwd/../outside/secret; cat /dev/fd/3/../outside/secret",
    "cat /dev/fd/3 /dev/fd/4 /dev/fd/5 /dev/fd/9",
    // By link.
    "ln -s $S l; cat l; head l; readlink -f l; cp l c; cat c",
    "ln -s ../outside l; cat l/secret; ls l; cd l && cat secret",
    "ln -s / l; cat l$S; ls l/root",
    "ln -s ../../../../../../../.. l; cat l$S",
    "cat in-link; cat out-link; cat dir-link/secret; grep -r . dir-link/; find -L . -type f -exec cat {} \\;",
    "cp -rL . /tmp/all; grep -r secret /tmp/all",
    "tar -chf - . | tar -xOf -; zcat in-link",
    "ln $S hard; ln ../outside/secret hard2; cat hard hard2",
    "mkdir d; ln -s ../.. d/up; cat d/up/outside/secret; cd d/up; pwd; cat outside/secret",
    "ln -s l2 l1; ln -s l1 l2; cat l1",
    // By the interpreter.
    "echo \"$(< $S)\"; read x < $S; echo $x; mapfile y < $S; echo \"${y[@]}\"",
    ". $S; source ../outside/secret; bash $S; eval \"$(cat $S)\"",
    "echo $D/*; echo ../outside/*; echo out-link* dir-link/*; for f in /root/* /etc/s*; do echo $f; done",
    "[[ -f $S ]] && echo the-secret-is-there; test -e ../outside/secret && echo the-secret-is-there",
    "cd $D && pwd; cd ..; cd ..; ls; cat outside/secret",
    "exec 7< $S; cat <&7; exec 8<> $T; echo changed >&8",
    "cat <(cat $S); cat < ../outside/secret; cat <<< \"$(cat $S)\"",
    "PATH=$D:/bin:/sbin x; $D/x; /bin/mount; /usr/bin/../../bin/id; command -p python3 -c 1; exec /bin/sh -c id",
    "type -a cat; hash -p $D/x y; y; enable -f $D/x.so z; z",
    "printenv; env; set | grep -i secret; echo $HOST_SECRET; cat /proc/$PPID/environ; declare -p",
    "BASH_ENV=$S bash -c :; ENV=$S sh -c :; PS4='$(cat $S)' bash -xc :; PROMPT_COMMAND='cat $S' bash -c :",
    // By a command's own way to files and programs.
    "sed \"r $S\" a.txt; sed \"w $T\" a.txt; sed '1e cat $S' a.txt; sed -n \"/one/r ../outside/secret\" a.txt",
    "awk 'BEGIN{while((getline x < ENVIRON[\"S\"])>0) print x}'; awk 'BEGIN{print \"changed\" > ENVIRON[\"T\"]}'",
    "awk 'BEGIN{system(\"cat \" ENVIRON[\"S\"])}'; awk 'BEGIN{\"cat \" ENVIRON[\"S\"] | getline x; print x}'",
    "grep -f $S a.txt; grep --include=* -r secret ..; sort --files0-from=$S; wc --files0-from=$S; du --files0-from=$S",
    "sort --compress-program=$D/x a.txt; split --filter=\"cat $S\" a.txt; tar --to-command=\"cat $S\" -xf a.tar",
    "find $D; find .. -name secret; find / -name secret 2>/dev/null; find . -maxdepth 0 -fprint $T; find $D -delete",
    "xargs -a $S echo; echo $S | xargs cat; find . -maxdepth 0 -exec cat $S \\;",
    "dd if=$S; dd of=$T if=a.txt; date -f $S; date -r $S; env -C $D ls; env -S \"cat $S\"; nice cat $S; timeout 5 cat $S",
    "git -C $D log; git diff --no-index /dev/null $S; git --git-dir=$D/.git log; git config --file $S -l; git grep --no-index . $D",
    "git -c core.pager=\"cat $S\" log; git -c alias.x=\"!cat $S\" x; git hash-object -w $S; git clone $D z",
    "patch $T < a.txt; patch -o $T a.txt; jq . $S; jq --rawfile x $S -n '$x'; rg . $D; tree $D; stat $S; file $S; du $D; df $D",
    "gzip -c $S; gzip $T; tar -cf - $S; tar -xf a.tar -C $D; cksum $S; sha256sum $S; realpath $S && cat $(realpath $S)",
    // Changes.
    "echo changed > $T; echo changed >> $T; echo changed >| $T; : > ../outside/target; echo x > $D/new",
    "rm -rf $D; rm -rf ../outside; rm -f $T; rmdir $D; mv $D moved; mv $T moved; mv a.txt $T; cp a.txt $T; install a.txt $T",
    "chmod 777 $T; touch -d 2001-01-01 $T; truncate -s 0 $T; shred $T; tee $T < a.txt; ln -sf x $T; split a.txt $D/s",
    "echo changed > out-target; cp a.txt out-target; sed -i s/o/c/ out-target; truncate -s 0 out-target; tee out-target < a.txt",
    "mkdir $D/new; mkdir -p ../outside/new/x; mktemp -p $D; touch ../outside/new; csplit -f $D/c a.txt 2; sort -o $T a.txt",
    "cd /; rm -rf *; rm -rf /tmp /home /workspace /usr; echo x > /x; mkdir /y; mv /workspace /z; ln -s x /etc/x",
    // Processes, network, devices.
    "kill -9 $PPID; kill -9 1; kill -9 -1; kill -9 $HOST_PID; pkill -9 -f .; killall5",
    "exec 9<>/dev/tcp/127.0.0.1/$HOST_PORT; echo x > /dev/udp/127.0.0.1/$HOST_PORT; curl 127.0.0.1:$HOST_PORT",
    "cat /dev/sda /dev/mem /dev/kmsg; echo x > /dev/tty; mknod n b 8 0; cat n; mkfifo p; echo x > /dev/pts/0",
    "ulimit -n unlimited; ulimit -v unlimited; umask 0; nice -n -20 true; chroot / id; unshare -r id; mount; sudo id",
];

#[test]
fn nothing_outside_is_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    for attempt in ATTEMPTS {
        let dir = tempfile::tempdir().unwrap();
        let (ws, outside) = (dir.path().join("ws"), dir.path().join("outside"));
        lay_out(&ws, &outside);
        // Once at a place of its own, and once where the host has it.
        for place in [Path::new("/workspace"), &ws] {
            let mut policy = Policy::preset("paranoid").unwrap();
            policy.limits.time = Duration::from_secs(60);
            let mut sandbox = Sandbox::open(&policy, Workspace::new(&ws).at(place)).unwrap();
            let text = |path: std::path::PathBuf| path.display().to_string();
            let action = Action::bash(attempt)
                .merged()
                .env("S", text(outside.join("secret")))
                .env("T", text(outside.join("target")))
                .env("D", text(outside.clone()))
                .env("HOST_PID", std::process::id().to_string())
                .env("HOST_PORT", listener.local_addr().unwrap().port().to_string());
            let seen = sandbox.run(&action).unwrap();
            let said = seen.stdout.text();
            assert!(!said.contains(SECRET), "{attempt}: {said}");
            assert!(!said.contains("the-secret-is-there"), "{attempt}: {said}");
            let read = |name: &str| std::fs::read_to_string(outside.join(name)).unwrap_or_default();
            assert_eq!(read("target"), "original\n", "{attempt}");
            assert_eq!(read("secret"), format!("echo {SECRET}\n"), "{attempt}");
            let mut names: Vec<_> =
                std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["secret", "target", "x"], "{attempt}");
            assert!(listener.accept().is_err(), "{attempt}");
            // The workspace of the host is as it was, too.
            assert_eq!(std::fs::read_to_string(ws.join("a.txt")).unwrap(), "one\n", "{attempt}");
            assert_eq!(std::fs::read_dir(&ws).unwrap().count(), 5, "{attempt}");
        }
    }
}

fn lay_out(ws: &Path, outside: &Path) {
    std::fs::create_dir_all(ws).unwrap();
    std::fs::create_dir_all(outside).unwrap();
    std::fs::write(outside.join("secret"), format!("echo {SECRET}\n")).unwrap();
    std::fs::write(outside.join("target"), "original\n").unwrap();
    std::fs::write(outside.join("x"), format!("#!/bin/sh\necho {SECRET}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(outside.join("x"), mode).unwrap();
    std::fs::write(ws.join("a.txt"), "one\n").unwrap();
    for (name, target) in [
        ("in-link", outside.join("secret")),
        ("out-link", "../outside/secret".into()),
        ("out-target", "../outside/target".into()),
        ("dir-link", outside.to_path_buf()),
    ] {
        std::os::unix::fs::symlink(target, ws.join(name)).unwrap();
    }
}

/// By design: what is in the workspace is in it, whatever other names it has.
#[test]
fn a_hard_link_that_lies_in_the_workspace_can_be_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (ws, outside) = (dir.path().join("ws"), dir.path().join("outside"));
    lay_out(&ws, &outside);
    std::fs::hard_link(outside.join("target"), ws.join("hard")).unwrap();
    let mut sandbox = Sandbox::open(&Policy::preset("paranoid").unwrap(), Workspace::new(&ws)).unwrap();
    let seen = sandbox.run(&Action::bash("cat hard; echo changed > hard; cat hard")).unwrap();
    assert_eq!(seen.stdout.text(), "original\nchanged\n");
    assert_eq!(std::fs::read_to_string(outside.join("target")).unwrap(), "original\n");
}

#[test]
fn a_pipe_or_device_of_the_workspace_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let mut sandbox =
        Sandbox::open(&Policy::preset("paranoid").unwrap(), Workspace::new(dir.path())).unwrap();
    let seen =
        sandbox.run(&Action::bash("cat fifo; grep x fifo; echo x > fifo; cat < fifo; echo on")).unwrap();
    assert_eq!((seen.outcome, seen.stdout.text().as_str()), (sbx_runtime::Outcome::Exited, "on\n"));
}
