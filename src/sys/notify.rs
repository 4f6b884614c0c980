//! The service manager's notification protocol (sd_notify): datagrams to the socket that `NOTIFY_SOCKET` names. Used by
//! `main`; silent when the process was not started by a service manager.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What a service says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Start-up is done.
    Ready,
    /// Still alive; due at least every `WatchdogSec`.
    Watchdog,
    Stopping,
}

/// The way to the service manager, or none.
#[derive(Debug)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// From the environment.
    ///
    /// # Errors
    /// When `NOTIFY_SOCKET` names a socket that cannot be reached.
    pub fn from_env() -> io::Result<Self> {
        std::env::var_os("NOTIFY_SOCKET").map_or(Ok(Self(None)), |path| Self::to(&path))
    }

    /// A path, or an abstract name after `@`.
    fn to(path: &OsStr) -> io::Result<Self> {
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some(socket)))
    }

    /// Says it. A manager that does not listen right now is no reason to stop trading: it then acts on its watchdog.
    pub fn say(&self, state: State) {
        let text: &[u8] = match state {
            State::Ready => b"READY=1",
            State::Watchdog => b"WATCHDOG=1",
            State::Stopping => b"STOPPING=1",
        };
        if let Some(socket) = &self.0 {
            let _lost = socket.send(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(manager: &UnixDatagram, notifier: &Notifier) -> Vec<String> {
        [State::Ready, State::Watchdog, State::Stopping]
            .map(|state| {
                notifier.say(state);
                let mut text = [0; 64];
                let n = manager.recv(&mut text).unwrap();
                String::from_utf8_lossy(&text[..n]).into_owned()
            })
            .to_vec()
    }

    #[test]
    fn states_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let expected = ["READY=1", "WATCHDOG=1", "STOPPING=1"];
        assert_eq!(hear(&manager, &Notifier::to(path.as_os_str()).unwrap()), expected);

        let name = format!("bot4-notify-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert_eq!(hear(&manager, &Notifier::to(OsStr::new(&format!("@{name}"))).unwrap()), expected);
    }

    #[test]
    fn a_socket_that_is_not_there_is_an_error_and_a_silent_manager_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        assert!(Notifier::to(path.as_os_str()).is_err());
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        drop(manager);
        notifier.say(State::Watchdog);
        Notifier(None).say(State::Ready);
    }
}
