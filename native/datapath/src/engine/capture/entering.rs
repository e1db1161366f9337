//! What has come, until its fate is known.

use super::record::{Form, Mark};
use crate::wire::vxlan;

/// What has come and has no fate yet.
pub(super) struct Entering {
    pub(super) mark: Mark,
    pub(super) form: Form,
    pub(super) len: u32,
    /// Where it lies it is no longer as it came: then `bytes` has as much of it as any capture keeps.
    pub(super) is_secured: bool,
    pub(super) bytes: Vec<u8>,
}

impl Entering {
    /// As it came, of what now lies there as `bytes`.
    pub(super) fn as_it_came<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        if self.is_secured { &self.bytes } else { bytes }
    }

    /// The frame in what came.
    pub(super) fn frame_in(form: Form, bytes: &[u8]) -> &[u8] {
        match form {
            Form::Frame => bytes,
            Form::Datagram(_) => bytes.get(vxlan::HEADER_LEN..).unwrap_or(&[]),
            Form::Packet => &[],
        }
    }
}
