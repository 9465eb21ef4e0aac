//! `sbx doctor`: each wall, whether it stands here, and what to do when it does not. The last lines are trials.

use super::exit_codes::FAILED;
use sbx::{Action, Host, Policy, Sandbox, Shell, View};
use serde::Serialize;
use std::fs;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

#[derive(Serialize)]
struct Finding {
    wall: &'static str,
    state: State,
    found: String,
    advice: String,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let host = Host::probe();
    let findings = [
        platform(),
        namespaces(),
        landlock(&host),
        memory(&host),
        processes(&host),
        trial(),
        views(),
        wasi(),
    ];
    let failed = findings.iter().any(|f| f.state == State::Fail);
    if args.json {
        let object =
            serde_json::json!({"schema": "sbx.doctor/1", "ok": !failed, "host": host, "findings": findings});
        say!("{}", serde_json::to_string_pretty(&object)?);
    } else {
        for f in &findings {
            let state = match f.state {
                State::Ok => "ok  ",
                State::Warn => "warn",
                State::Fail => "FAIL",
            };
            say!("{state}  {:<16} {}", f.wall, f.found);
            if !f.advice.is_empty() {
                say!("      {:<16} → {}", "", f.advice);
            }
        }
        say!(
            "{}",
            if failed {
                "the default policy cannot be enforced here"
            } else {
                "the default policy holds here"
            }
        );
    }
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn finding(wall: &'static str, state: State, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { wall, state, found: found.into(), advice: advice.into() }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|s| s.trim().to_string())
}

fn platform() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 12) {
        return finding("kernel", State::Ok, format!("Linux {release}"), "");
    }
    finding(
        "kernel",
        State::Fail,
        format!("Linux {release}"),
        "Linux 5.12 or later is needed (mount_setattr, overlay in user namespaces)",
    )
}

fn namespaces() -> Finding {
    let most = read("/proc/sys/user/max_user_namespaces");
    if most.as_deref() == Some("0") {
        return finding(
            "namespaces",
            State::Fail,
            "user.max_user_namespaces = 0",
            "sysctl user.max_user_namespaces=10000",
        );
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return finding(
            "namespaces",
            State::Fail,
            "kernel.unprivileged_userns_clone = 0",
            "sysctl kernel.unprivileged_userns_clone=1",
        );
    }
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        let advice = "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for sbx that allows userns";
        return finding("namespaces", State::Warn, "AppArmor restricts unprivileged user namespaces", advice);
    }
    finding("namespaces", State::Ok, "user namespaces are on", "")
}

fn landlock(host: &Host) -> Finding {
    match host.landlock {
        0 => finding(
            "landlock",
            State::Fail,
            "not there",
            "boot with lsm=landlock,… (CONFIG_SECURITY_LANDLOCK), or set missing = \"report\"",
        ),
        abi @ 1..6 => finding(
            "landlock",
            State::Warn,
            format!("ABI {abi}"),
            "Linux 6.12 or later has ABI 6: sockets and signals are scoped too",
        ),
        abi => finding("landlock", State::Ok, format!("ABI {abi}"), ""),
    }
}

fn memory(host: &Host) -> Finding {
    match &host.cgroup.memory {
        Some(dir) => finding(
            "memory limit",
            State::Ok,
            format!("cgroup v{} at {}", host.cgroup.version, dir.display()),
            "",
        ),
        None => finding(
            "memory limit",
            State::Warn,
            "no writable cgroup: RLIMIT_DATA bounds each process, not all together",
            "delegate a cgroup: systemd-run --user --scope -p Delegate=yes sbx …",
        ),
    }
}

fn processes(host: &Host) -> Finding {
    match &host.cgroup.pids {
        Some(_) => finding("process limit", State::Ok, format!("cgroup v{}", host.cgroup.version), ""),
        None if host.uid != 0 => {
            finding("process limit", State::Ok, "RLIMIT_NPROC in the user namespace", "")
        }
        None => finding(
            "process limit",
            State::Fail,
            "no writable cgroup, and RLIMIT_NPROC does not hold for root",
            "run as an ordinary user, or make the pids controller writable",
        ),
    }
}

/// Builds the default sandbox and tries what it must stop.
fn trial() -> Finding {
    const SCRIPT: &str = "cp /usr/bin/ls copy && ./copy; a=$?; /lib64/ld-linux-x86-64.so.2 ./copy; b=$?; \
        /usr/bin/env /proc/self/root/usr/bin/mount; c=$?; echo $a $b $c";
    let trial = || -> anyhow::Result<(String, Vec<String>)> {
        let dir = tempfile_dir()?;
        let mut sandbox = Sandbox::open(&Policy::preset("whitelist")?, dir.as_path())?;
        let seen = sandbox.run(&Action::bash(SCRIPT))?;
        let _ = fs::remove_dir(&dir);
        Ok((seen.stdout.text().trim().to_string(), seen.enforced))
    };
    match trial() {
        Ok((codes, enforced)) if codes == "126 127 127" => finding(
            "trial",
            State::Ok,
            format!(
                "a copied program, the loader and a hidden path were stopped; enforced: {}",
                enforced.join(" ")
            ),
            "",
        ),
        Ok((codes, _)) => finding(
            "trial",
            State::Fail,
            format!("exit statuses {codes}, expected 126 127 127"),
            "a wall does not hold: please report this",
        ),
        Err(e) => finding("trial", State::Fail, format!("{e:#}"), ""),
    }
}

/// No wall, but what makes a sandbox open in milliseconds.
fn views() -> Finding {
    let of = |preset: &str| -> anyhow::Result<Option<String>> {
        let dir = tempfile_dir()?;
        let why = View::not_gathered(&Policy::preset(preset)?, &dir);
        let _ = fs::remove_dir(&dir);
        Ok(why.map(|why| format!("{preset}: {why}")))
    };
    let advice = "sandboxes open slower: HOME or XDG_CACHE_HOME has to be the user's own, and programs must start there";
    let found: anyhow::Result<Vec<Option<String>>> = ["whitelist", "python"].map(of).into_iter().collect();
    match found.map(|found| found.into_iter().flatten().collect::<Vec<_>>()) {
        Ok(whys) if whys.is_empty() => {
            finding("views", State::Ok, "the programs of a policy are copied once and shared", "")
        }
        Ok(whys) => finding("views", State::Warn, whys.join("; "), advice),
        Err(e) => finding("views", State::Warn, format!("{e:#}"), advice),
    }
}

/// Opens the sandbox without processes and tries what it must do and not do. The default policy does not need it.
fn wasi() -> Finding {
    const SCRIPT: &str = "ls / | sort | head -n 1; cat /etc/shadow; /usr/bin/mount; echo $?";
    let trial = || -> anyhow::Result<(String, Vec<String>)> {
        let dir = tempfile::tempdir()?;
        let seen = Shell::open(&Policy::preset("paranoid")?, dir.path())?.run(SCRIPT)?;
        Ok((seen.stdout.text().replace('\n', " "), seen.enforced))
    };
    match trial() {
        Ok((said, enforced)) if said == "bin 127 " => {
            finding("backend wasi", State::Ok, format!("commands run; enforced: {}", enforced.join(" ")), "")
        }
        Ok((said, _)) => finding(
            "backend wasi",
            State::Warn,
            format!("found {said:?}, expected \"bin 127 \""),
            "policies with backend = \"wasi\" do not hold: please report this",
        ),
        Err(e) => finding("backend wasi", State::Warn, format!("{e:#}"), "needed only by backend = \"wasi\""),
    }
}

fn tempfile_dir() -> anyhow::Result<std::path::PathBuf> {
    let dir = std::env::temp_dir().join(format!("sbx-doctor-{}", std::process::id()));
    fs::create_dir(&dir)?;
    Ok(dir)
}
