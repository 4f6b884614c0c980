//! The production side of the cold seams: how a keeper opens links and calls REST, one set per venue with that venue's
//! own roots of trust.

use std::time::Duration;

use crate::config::VenueSection;
use crate::keeper::thread::Connector;
use crate::sys::clock::{Deadline, SystemClock};
use crate::sys::http::HttpLink;
use crate::sys::link::Link;
use crate::sys::rest::UreqHttp;
use crate::sys::socket::Dialer;
use crate::sys::tls::{Tls, TlsError};
use crate::sys::url::SecureUrl;
use crate::sys::ws::{Mode, WsLink};
use crate::types::record::Role;
use crate::venue::Target;

/// Longest time to connect, shake hands and upgrade: inside the five seconds of NFR9 together with the longest pause of
/// the keeper, which begins when such an attempt ends.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Opens the links of one venue.
pub struct Wires {
    dialer: Dialer,
    clock: SystemClock,
    /// Market data is read by a thread that blocks in its socket.
    md_blocks: bool,
}

impl Wires {
    pub fn new(venue: &VenueSection, clock: SystemClock, md_blocks: bool) -> Result<Self, TlsError> {
        let tls = Tls::new(venue.ca_file.as_deref())?;
        Ok(Self { dialer: Dialer::new(tls), clock, md_blocks })
    }

    /// The cold HTTP client of this venue.
    pub fn http(&self) -> UreqHttp {
        UreqHttp::new(self.dialer.clone())
    }
}

impl Connector for Wires {
    fn open(&mut self, target: &Target, role: Role) -> Result<Box<dyn Link>, String> {
        let deadline = Deadline::after(CONNECT_MAX);
        match target {
            Target::WebSocket(target) => {
                let url = SecureUrl::parse(&target.url).map_err(|error| error.to_string())?;
                let blocks = self.md_blocks && role == Role::MarketData;
                let mode = if blocks { Mode::Blocking } else { Mode::NonBlocking };
                let link = WsLink::connect(&self.dialer, url, &target.headers, deadline, mode);
                Ok(Box::new(link.map_err(|error| error.to_string())?))
            }
            Target::Http { host, port, .. } => {
                let url = SecureUrl::https(host, *port).map_err(|error| error.to_string())?;
                let link = HttpLink::connect(&self.dialer, &url, deadline, self.clock);
                Ok(Box::new(link.map_err(|error| error.to_string())?))
            }
        }
    }
}
