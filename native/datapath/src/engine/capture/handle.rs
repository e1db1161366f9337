//! Captures, as whoever holds the datapath has them.

use std::sync::Arc;

use super::{CaptureFilter, CaptureSpec, CaptureStatus};
use crate::engine::Datapath;
use crate::engine::topology::{Port, PortIo};
use crate::error::{Error, ErrorCode};

impl Datapath {
    /// Begins a capture: pcapng to whoever connects to the spec's socket. Errors: `BAD_VALUE` if nothing runs, there is no
    /// such network or port, or nothing is to be kept of a packet; `BAD_FILTER`, `TOO_MANY_CAPTURES`, `NO_FILES`, `IO`.
    pub fn capture(&self, spec: &CaptureSpec) -> Result<CaptureStatus, Error> {
        let refused = |subject: String, detail: &str| {
            Err(Error::new(ErrorCode::BadValue, subject).with_detail(detail))
        };
        let filter = spec.filter.as_deref().map(CaptureFilter::compile);
        let filter = filter.transpose()?;
        let state = self.0.lock();
        let (Some(running), Some(topology)) = (&state.running, self.0.topology()) else {
            return refused("capture".into(), "nothing runs");
        };
        let mut networks = topology.networks.iter();
        if let Some(name) = &spec.network
            && !networks.any(|n| n.spec.name == *name)
        {
            return refused(format!("network {name}"), "there is none");
        }
        let is_local = |p: &Port| !matches!(p.io, PortIo::Tunnel(_));
        if let Some(name) = &spec.port
            && !topology
                .present_ports()
                .any(|p| is_local(p) && *p.name == **name)
        {
            return refused(format!("port {name}"), "there is none");
        }
        let captures = &self.0.captures;
        captures.begin(
            (spec, filter),
            &topology,
            (Arc::downgrade(&self.0), running.crew()),
        )
    }

    /// Captures that run.
    pub fn captures(&self) -> Vec<CaptureStatus> {
        self.0.captures.list()
    }

    /// Ends a capture soon: its reader gets what there is, and the statistics. Whether there was one of this number.
    pub fn end_capture(&self, id: u32) -> bool {
        self.0.captures.end(id)
    }
}
