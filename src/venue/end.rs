//! Why a connection is no more, and whether another will do (SAFETY C5, C17): each venue lists its close codes, and
//! this reads the list. Pure.

use super::reason;
use crate::sys::link::LinkError;
use crate::types::order::Reason;

/// A close code that a venue documents.
pub struct CloseCode {
    pub code: u16,
    pub name: &'static str,
    /// What a person has to do before the venue takes another connection; `None` = another one will do.
    pub mend: Option<&'static str>,
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub why: Reason,
    /// As in [`CloseCode`].
    pub mend: Option<&'static str>,
}

impl End {
    /// One after which another connection will do.
    pub fn loss(why: &str) -> Self {
        Self { why: Reason::cut(why), mend: None }
    }

    /// What the venue said by this number, as a close code or in a message; an unknown one asks for no person.
    pub fn told(codes: &[CloseCode], code: i64) -> Self {
        let known = codes.iter().find(|known| i64::from(known.code) == code);
        let (name, mend) = known.map_or(("UNKNOWN", None), |known| (known.name, known.mend));
        Self { why: Reason::cut(&format!("closed by the venue: {code} {name}")), mend }
    }

    /// The end of a link.
    pub fn of(codes: &[CloseCode], error: &LinkError) -> Self {
        match error {
            LinkError::Closed { code, .. } => Self::told(codes, i64::from(*code)),
            other => Self { why: reason(other), mend: None },
        }
    }

    /// A connection that was up has shown that there is nothing to mend: should there be now, the next one learns it.
    pub fn after(self, was_up: bool) -> Self {
        Self { mend: self.mend.filter(|_| !was_up), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::REGISTRY;

    /// Sheet `vest`, 6 and sheet `paradex`, 5.2; whether a person is needed.
    const DOCUMENTED: [&[(u16, bool)]; 2] = [
        &[
            (1011, false),
            (1012, false),
            (4000, true),
            (4001, true),
            (4002, true),
            (4003, false),
            (4004, false),
            (4005, false),
        ],
        &[(4031, false)],
    ];

    #[test]
    fn every_documented_close_code_is_mapped() {
        for (venue, documented) in REGISTRY.iter().zip(DOCUMENTED) {
            let listed: Vec<(u16, bool)> =
                venue.close_codes.iter().map(|known| (known.code, known.mend.is_some())).collect();
            assert_eq!(listed, documented, "{}", venue.name);
        }
    }

    #[test]
    fn a_refusal_is_one_of_a_connection_that_was_never_up() {
        let codes = REGISTRY[0].close_codes;
        let closed = |code| LinkError::Closed { code, reason: "bye".to_owned() };
        let end = End::of(codes, &closed(4002));
        assert_eq!(end.why.as_str(), "closed by the venue: 4002 ACCOUNT_GROUP_INVALID");
        assert!(end.mend.is_some() && end.after(false) == end && end.after(true).mend.is_none());
        assert_eq!(End::of(codes, &closed(4999)), End::loss("closed by the venue: 4999 UNKNOWN"));
    }
}
