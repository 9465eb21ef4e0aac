//! The allow-list of domains: what it names can be reached through the proxy, and nothing else.

mod world;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use world::{World, text};

/// A server that answers one request after the other; returns its port.
fn server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = BufReader::new(&client).lines().map_while(Result::ok);
            let first = request.next().unwrap_or_default();
            // A connection that is closed before all of the request is read is reset, and the answer lost.
            request.take_while(|line| !line.is_empty()).for_each(drop);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{first}",
                first.len()
            );
            let _ = client.write_all(answer.as_bytes());
        }
    });
    port
}

fn policy(world: &World, allow: &str) -> String {
    let path = world.dir.path().join("net.toml");
    let text =
        format!("extends = \"whitelist\"\nloosens = [\"network.allow\"]\n[network]\nallow = [{allow}]\n");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A request through the proxy, in bash alone.
fn ask(world: &World, policy: &str, line: &str) -> String {
    let script = format!("exec 5<>/dev/tcp/127.0.0.1/3128; printf '{line}\\r\\n\\r\\n' >&5; cat <&5");
    let output = world.exec(&["--policy", policy, "--changes", "discard", "-c", &script]);
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn only_named_domains_are_reached() {
    let world = World::new();
    let port = server();
    let named = policy(&world, &format!("\"127.0.0.1:{port}\", \"localtest.invalid\", \"localhost\""));
    let said = ask(&world, &named, &format!("GET http://127.0.0.1:{port}/a HTTP/1.1"));
    assert!(said.ends_with("GET /a HTTP/1.1"), "{said}");
    let tunnel =
        ask(&world, &named, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\nGET /b HTTP/1.1"));
    assert!(
        tunnel.starts_with("HTTP/1.1 200 Connection established") && tunnel.contains("GET /b"),
        "{tunnel}"
    );
    let other = ask(&world, &named, "CONNECT example.org:443 HTTP/1.1");
    assert!(other.starts_with("HTTP/1.1 403") && other.contains("the policy allows 127.0.0.1"), "{other}");
    let unknown = ask(&world, &named, "CONNECT localtest.invalid:443 HTTP/1.1");
    assert!(unknown.starts_with("HTTP/1.1 502"), "{unknown}");
    let inside = ask(&world, &named, "CONNECT localhost:80 HTTP/1.1");
    assert!(inside.starts_with("HTTP/1.1 403") && inside.contains("not public"), "{inside}");
    let bad = ask(&world, &named, "HELLO");
    assert!(bad.starts_with("HTTP/1.1 400"), "{bad}");
}

#[test]
fn nothing_is_reached_around_the_proxy() {
    let world = World::new();
    let port = server();
    let named = policy(&world, &format!("\"127.0.0.1:{port}\""));
    let script = format!("exec 5<>/dev/tcp/127.0.0.1/{port} && echo CONNECTED; echo $https_proxy");
    let output = world.exec(&["--policy", &named, "--changes", "discard", "-c", &script]);
    assert_eq!(text(&output.stdout), "http://127.0.0.1:3128\n");
}

#[test]
fn the_list_is_checked() {
    let world = World::new();
    let output = world.exec(&["--policy", &policy(&world, "\"http://x/\""), "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text(&output.stderr).contains("net.toml:4: network.allow: expected a domain such as example.org"),
        "{}",
        text(&output.stderr)
    );
}
