//! A scripted [`Http`] for the tests of this folder: answers in order and keeps what was asked.

#![cfg(test)]

use std::collections::VecDeque;

use crate::sys::rest::{Http, HttpError, Request, Response};

pub(super) struct Script {
    answers: VecDeque<(u16, String)>,
    pub(super) calls: Vec<Request>,
}

impl Script {
    pub(super) fn new(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|&(status, body)| (status, body.to_owned())).collect();
        Self { answers, calls: Vec::new() }
    }

    /// Paths and queries asked so far, without the base.
    pub(super) fn paths(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.url.split("/v2").nth(1).unwrap_or_default()).collect()
    }
}

impl Http for Script {
    fn call(&mut self, request: Request) -> Result<Response, HttpError> {
        self.calls.push(request);
        let (status, body) =
            self.answers.pop_front().ok_or_else(|| HttpError("connection refused".into()))?;
        Ok(Response { status, body: body.into_bytes(), retry_after: None })
    }
}
