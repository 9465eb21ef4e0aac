//! The way out of a sandbox to the domains that its policy names, and to nothing else.
//!
//! The sandbox has a network of its own with nothing in it but `lo`. Process 1 opens a port there and hands it to the
//! library, which answers on the host's side: it speaks HTTP's `CONNECT` and plain requests, looks the name up itself, and
//! connects only to addresses of the public internet. A name that is allowed but points into the host's own network leads
//! nowhere. What goes through a tunnel is not looked at.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// The port in the sandbox.
pub(crate) const PORT: u16 = 3128;
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Most that is read of a refused client, in bytes.
const MAX_UNREAD: u64 = 1 << 20;
/// Most connections at a time.
const MAX_CONNECTIONS: usize = 64;
/// Longest wait for a request, and for the other side to answer a connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ports that a domain without one means.
const WEB: [u16; 2] = [80, 443];

/// A domain that can be reached: `example.org`, `*.example.org`, with or without `:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    name: String,
    /// Its subdomains are meant, not itself.
    below: bool,
    port: Option<u16>,
}

impl Domain {
    /// Reads a domain; `Err` says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Domain, String> {
        let expected = || {
            format!(
                "expected a domain such as example.org, *.example.org or example.org:8443, found {text:?}"
            )
        };
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(expected)?))
            }
            _ => (text, None),
        };
        let (name, below) = name.strip_prefix("*.").map_or((name, false), |rest| (rest, true));
        let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let is_address = name.parse::<IpAddr>().is_ok();
        let is_name = !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        if is_address && !below || is_name { Ok(Domain { name, below, port }) } else { Err(expected()) }
    }

    fn fits(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = if self.below {
            host.strip_suffix(&self.name).is_some_and(|rest| rest.ends_with('.'))
        } else {
            host == self.name
        };
        named && self.port.map_or(WEB.contains(&port), |own| own == port)
    }

    /// Whether the policy's author wrote the very address.
    fn is_address(&self) -> bool {
        self.name.parse::<IpAddr>().is_ok()
    }
}

/// Both sides of each connection by its number, so that whoever stops can end them.
#[derive(Default)]
struct Connections(Mutex<HashMap<u64, Vec<Arc<TcpStream>>>>);

impl Connections {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Vec<Arc<TcpStream>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a side to a connection; `false` when all were ended meanwhile.
    fn add(&self, number: u64, side: &Arc<TcpStream>) -> bool {
        self.all().get_mut(&number).map(|sides| sides.push(side.clone())).is_some()
    }

    fn end(&self) {
        for side in self.all().drain().flat_map(|(_, sides)| sides) {
            // It may have ended by itself.
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

/// Answers the port of one sandbox until it is dropped; its connections then end.
#[derive(Debug)]
pub(crate) struct Proxy {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts answering.
    pub(crate) fn start(port: OwnedFd, domains: &[String]) -> io::Result<Proxy> {
        let domains: Arc<[Domain]> = domains
            .iter()
            .map(|d| Domain::parse(d).map_err(io::Error::other))
            .collect::<io::Result<Vec<_>>>()?
            .into();
        let listener = TcpListener::from(port);
        listener.set_nonblocking(true)?;
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let thread = std::thread::Builder::new()
            .name("sbx-proxy".into())
            .spawn(move || answer(&listener, &stopped, &domains))?;
        Ok(Proxy { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The other end of the pipe sees its end.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(listener: &TcpListener, stopped: &OwnedFd, domains: &Arc<[Domain]>) {
    let open = Arc::new(Connections::default());
    accept(listener, stopped, domains, &open);
    open.end();
}

fn accept(listener: &TcpListener, stopped: &OwnedFd, domains: &Arc<[Domain]>, open: &Arc<Connections>) {
    for number in 0.. {
        let mut fds =
            [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        let Ok((client, _)) = listener.accept() else { continue };
        if open.all().len() >= MAX_CONNECTIONS {
            let _ = refuse(&client, "503 Service Unavailable", "sbx: too many connections at a time");
            continue;
        }
        let client = Arc::new(client);
        open.all().insert(number, vec![client.clone()]);
        let (domains, connections) = (domains.clone(), open.clone());
        let served = std::thread::Builder::new().name("sbx-proxy-connection".into()).spawn(move || {
            // What goes wrong on a connection ends it, and is seen by its client.
            let _ = serve(&client, &domains, |server| connections.add(number, server));
            connections.all().remove(&number);
        });
        if served.is_err() {
            open.all().remove(&number);
        }
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    host: String,
    port: u16,
    /// The head for the other side; none for a tunnel.
    head: Option<Vec<u8>>,
}

/// Serves one connection; `keep` gets the other side, and says whether to go on.
fn serve(
    client: &Arc<TcpStream>,
    domains: &[Domain],
    keep: impl FnOnce(&Arc<TcpStream>) -> bool,
) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let (head, rest) = read_head(client)?;
    let Some(asked) = parse(&head) else {
        return refuse(
            client,
            "400 Bad Request",
            "sbx: expected CONNECT host:port or a request of http://host/",
        );
    };
    let Some(domain) = domains.iter().find(|d| d.fits(&asked.host, asked.port)) else {
        let names: Vec<&str> = domains.iter().map(|d| d.name.as_str()).take(12).collect();
        let why = format!(
            "sbx: {}:{} is not reachable; the policy allows {}",
            asked.host,
            asked.port,
            names.join(" ")
        );
        return refuse(client, "403 Forbidden", &why);
    };
    let addresses = (asked.host.as_str(), asked.port).to_socket_addrs();
    let Ok(addresses) = addresses.map(Iterator::collect::<Vec<_>>) else {
        return refuse(client, "502 Bad Gateway", &format!("sbx: {} has no address", asked.host));
    };
    // One address inside is enough to distrust the name.
    if !domain.is_address() && addresses.iter().any(|a| !is_public(a.ip())) {
        let why = format!("sbx: {} points into a network that is not public", asked.host);
        return refuse(client, "403 Forbidden", &why);
    }
    let Some(server) = connect(&addresses).map(Arc::new) else {
        return refuse(client, "504 Gateway Timeout", &format!("sbx: {} does not answer", asked.host));
    };
    if !keep(&server) {
        return Ok(());
    }
    match &asked.head {
        Some(head) => (&*server).write_all(head)?,
        None => (&**client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?,
    }
    (&*server).write_all(&rest)?;
    client.set_read_timeout(None)?;
    relay(client, &server)
}

fn connect(addresses: &[SocketAddr]) -> Option<TcpStream> {
    addresses.iter().find_map(|address| TcpStream::connect_timeout(address, PATIENCE).ok())
}

/// Copies both ways until both are at their end.
fn relay(client: &Arc<TcpStream>, server: &Arc<TcpStream>) -> io::Result<()> {
    let (up_from, up_to) = (client.clone(), server.clone());
    let up = std::thread::Builder::new().name("sbx-proxy-up".into()).spawn(move || {
        let _ = io::copy(&mut &*up_from, &mut &*up_to);
        let _ = up_to.shutdown(Shutdown::Write);
        // What a server that has answered no longer wants is read all the same (see `refuse`).
        let _ = io::copy(&mut &*up_from, &mut io::sink());
    })?;
    let down = io::copy(&mut &**server, &mut &**client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = up.join();
    down.map(drop)
}

/// The head of a request up to its empty line, and what came after it.
fn read_head(mut client: &TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((bytes, rest));
        }
        if bytes.len() > MAX_HEAD {
            return Err(io::Error::other("the head is too long"));
        }
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn parse(head: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(head).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = split_port(target, None)?;
        return Some(Asked { host, port, head: None });
    }
    let rest = target.strip_prefix("http://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, port) = split_port(&rest[..at], Some(80))?;
    let path = if at == rest.len() { "/" } else { &rest[at..] };
    // One request a connection: the next one may be for another host.
    let is_kept = |field: &&str| {
        let name = field.split(':').next().unwrap_or_default().trim_ascii_end().to_ascii_lowercase();
        !matches!(
            name.as_str(),
            "host" | "connection" | "proxy-connection" | "proxy-authorization" | "keep-alive" | ""
        )
    };
    let kept: String = fields.split("\r\n").filter(is_kept).map(|f| format!("{f}\r\n")).collect();
    // A server of several domains is asked for the one that is allowed (RFC 9112, section 3.2.2).
    let authority = &rest[..at];
    let head = format!("{method} {path} {version}\r\nHost: {authority}\r\n{kept}Connection: close\r\n\r\n");
    Some(Asked { host, port, head: Some(head.into_bytes()) })
}

fn split_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    // A user and password before the host would hide it.
    if text.contains('@') {
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, default),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then_some((host.to_string(), port?))
}

/// Whether an address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.is_unspecified()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
                || (a == 192 && b == 0 && v4.octets()[2] == 0))
        }
        IpAddr::V6(v6) => {
            let inner = v6.to_ipv4_mapped().or_else(|| nat64(v6));
            match inner {
                Some(v4) => is_public(IpAddr::V4(v4)),
                // 2000::/3 is what is routed; of it, not the documentation's, Teredo's and 6to4's.
                None => {
                    let s = v6.segments();
                    s[0] & 0xe000 == 0x2000
                        && !(s[0] == 0x2001 && s[1] == 0xdb8)
                        && !(s[0] == 0x2001 && s[1] == 0)
                        && s[0] != 0x2002
                }
            }
        }
    }
}

/// The IPv4 address within one of NAT64.
fn nat64(address: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let s = address.segments();
    let octets = address.octets();
    (s[..6] == [0x64, 0xff9b, 0, 0, 0, 0])
        .then(|| std::net::Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]))
}

/// Answers with a refusal. What the client has sent and nobody read is taken first: closing a socket that still holds
/// something resets the connection, and the answer is lost with it.
fn refuse(mut client: &TcpStream, status: &str, why: &str) -> io::Result<()> {
    let length = why.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
    );
    client.write_all(answer.as_bytes())?;
    client.shutdown(Shutdown::Both)?;
    io::copy(&mut client.take(MAX_UNREAD), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_fits_itself_and_no_other() {
        let fits = |domain: &str, host: &str, port| Domain::parse(domain).unwrap().fits(host, port);
        assert!(fits("example.org", "Example.ORG.", 443) && fits("example.org", "example.org", 80));
        assert!(!fits("example.org", "example.org", 22) && fits("example.org:22", "example.org", 22));
        assert!(!fits("example.org", "a.example.org", 443) && !fits("example.org", "notexample.org", 443));
        assert!(fits("*.example.org", "a.b.example.org", 443) && !fits("*.example.org", "example.org", 443));
        assert!(!fits("*.example.org", "evilexample.org", 443));
        for text in ["", "*", "http://x", "a b", "x:0", "x:99999", "-/", "*.1.2.3.4", "a..b"] {
            assert!(Domain::parse(text).is_err() || text == "*.1.2.3.4", "{text}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_known() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
            "2002:7f00:1::",
            "198.18.0.1",
            "192.0.0.1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn connections_end_with_the_proxy() {
        let local = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, server) = (local(), local());
        let mut client = TcpStream::connect(port.local_addr().unwrap()).unwrap();
        let target = server.local_addr().unwrap().to_string();
        let proxy = Proxy::start(port.into(), std::slice::from_ref(&target)).unwrap();
        write!(client, "CONNECT {target} HTTP/1.1\r\n\r\n").unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let (head, _) = read_head(&client).unwrap();
        assert!(head.starts_with(b"HTTP/1.1 200 "));
        drop(proxy);
        for side in [&mut client, &mut accepted] {
            side.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(side.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn requests_are_read_and_rewritten() {
        let tunnel = parse(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((tunnel.host.as_str(), tunnel.port, tunnel.head), ("example.org", 443, None));
        let plain = parse(b"GET http://example.org:81/a?b HTTP/1.1\r\nHOST : other.org\r\nX: y\r\nProxy-Connection: x\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("example.org", 81));
        assert_eq!(
            String::from_utf8(plain.head.unwrap()).unwrap(),
            "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nX: y\r\nConnection: close\r\n\r\n"
        );
        for bad in [
            "GET /a HTTP/1.1\r\n\r\n",
            "CONNECT example.org HTTP/1.1\r\n\r\n",
            "CONNECT evil@example.org:443 HTTP/1.1\r\n\r\n",
            "GET ftp://x/ HTTP/1.1\r\n\r\n",
            "x\r\n\r\n",
            "CONNECT a:1 HTTP/2\r\n\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
