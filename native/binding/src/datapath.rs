//! The one class of the addon.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::datapath::error::{Error, ErrorCode};
use ::datapath::io::memory::{MemoryDatagram as OwnDatagram, MemoryUnderlay};
use napi::bindgen_prelude::{AsyncTask, Env, Function, Task, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::desired::{DesiredState, NewTap};
use crate::failure::thrown;
use crate::observe::{CaptureSpec, CaptureStatus, History, Trace, TraceRequest};
use crate::reports::{ApplyReport, Counters, DatapathEvent, FdbEntry};

/// A datagram of the memory underlay.
#[napi(object)]
pub struct MemoryDatagram {
    pub source: String,
    pub source_port: u32,
    pub destination: String,
    pub destination_port: u32,
    /// Type of service or traffic class of the IP header; absent = 0.
    pub tos: Option<u32>,
    pub payload: Uint8Array,
}

/// Everything that moves frames. idle -> running -> stopped; no way back.
#[napi]
pub struct Datapath {
    inner: Arc<::datapath::Datapath>,
    started_at_ms: u64,
}

#[napi]
impl Datapath {
    /// Opens nothing.
    #[napi(constructor)]
    pub fn new(env: Env) -> napi::Result<Self> {
        let inner = Arc::new(::datapath::Datapath::new());
        // At exit the finalizer may never run, so the workers are also stopped with the environment.
        let stopped = Arc::downgrade(&inner);
        env.add_env_cleanup_hook(stopped, |stopped| {
            if let Some(inner) = stopped.upgrade() {
                inner.stop();
            }
        })?;
        Ok(Self {
            inner,
            started_at_ms: unix_ms(),
        })
    }

    /// Makes the whole desired state true: opens first, then swaps, then closes. A failure leaves the old state
    /// running and names the culprit.
    #[napi(ts_return_type = "Promise<ApplyReport>")]
    pub fn apply(&self, desired: DesiredState) -> AsyncTask<Apply> {
        AsyncTask::new(Apply {
            inner: self.inner.clone(),
            desired: Some(desired),
        })
    }

    /// Starts the workers. `wake` means that the event ring is no longer empty; it does not keep the process alive.
    #[napi]
    pub fn start(&self, wake: Function<'_, (), ()>) -> napi::Result<()> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()?;
        let wake = Box::new(move || {
            // A full queue means that a wake is on its way already.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        self.inner.start(wake).map_err(thrown)
    }

    /// Takes up to `max` events, and behind them, if any were lost since the last call, one that says how many.
    #[napi]
    pub fn drain(&self, max: u32) -> Vec<DatapathEvent> {
        let (events, lost) = self.inner.drain(max as usize);
        let mut events: Vec<DatapathEvent> = events.into_iter().map(Into::into).collect();
        if lost > 0 {
            events.push(DatapathEvent {
                kind: "lost".into(),
                at: unix_ms() as f64,
                count: Some(lost as f64),
                ..DatapathEvent::default()
            });
        }
        events
    }

    /// Makes the TAP of a port with a sandbox in our own network namespace: marked, down, without addresses, as the
    /// apply with that port will want to adopt it. One that is there with the same mark is fine.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn make_tap(&self, tap: NewTap) -> AsyncTask<MakeTap> {
        AsyncTask::new(MakeTap {
            inner: self.inner.clone(),
            tap,
        })
    }

    /// From now on takes TAPs that others made and hand over at the unix socket `path`.
    #[napi]
    pub fn receive_handovers(&self, path: String) -> napi::Result<()> {
        let received = self.inner.receive_handovers(std::path::Path::new(&path));
        received.map_err(thrown)
    }

    /// A copy of every counter.
    #[napi]
    pub fn counters(&self) -> Counters {
        match self.inner.counters() {
            Some(counters) => Counters::new(self.started_at_ms, counters),
            None => Counters::empty(self.started_at_ms),
        }
    }

    /// A copy of the forwarding database of one network, or of all.
    #[napi]
    pub fn fdb(&self, network: Option<String>) -> Vec<FdbEntry> {
        self.inner
            .fdb(network.as_deref())
            .into_iter()
            .map(Into::into)
            .collect()
    }

    /// Forgets learned entries of a network, or of one port of it; returns how many.
    #[napi]
    pub fn fdb_flush(&self, network: String, port: Option<String>) -> u32 {
        self.inner.flush(&network, port.as_deref()) as u32
    }

    /// Begins a capture: pcapng to whoever connects to `spec.socket`, written by a thread of its own.
    #[napi(ts_return_type = "Promise<CaptureStatus>")]
    pub fn capture(&self, spec: CaptureSpec) -> AsyncTask<Capture> {
        AsyncTask::new(Capture {
            inner: self.inner.clone(),
            spec: Some(spec),
        })
    }

    /// Captures that run.
    #[napi]
    pub fn captures(&self) -> Vec<CaptureStatus> {
        self.inner.captures().into_iter().map(Into::into).collect()
    }

    /// Ends a capture: its reader gets what it has and the statistics; whether there was one of this ID.
    #[napi]
    pub fn end_capture(&self, id: u32) -> bool {
        self.inner.end_capture(id)
    }

    /// The way that a frame would take at this moment, without sending or learning anything.
    #[napi]
    pub fn trace(&self, request: TraceRequest) -> napi::Result<Trace> {
        let (entrance, bytes) = request.convert().map_err(thrown)?;
        let trace = self.inner.trace(&entrance, &bytes).map_err(thrown)?;
        Ok(trace.into())
    }

    /// What has happened, from this line on; bounded, the oldest goes first.
    #[napi]
    pub fn history(&self, from_seq: f64) -> History {
        self.inner.history(from_seq.max(0.0) as u64).into()
    }

    /// A frame enters the switch at this port.
    #[napi]
    pub fn inject(&self, port: String, frame: Uint8Array) -> napi::Result<()> {
        self.inner.inject(&port, frame.to_vec()).map_err(thrown)
    }

    /// Stops the workers and closes everything; TAPs stay. Any number of times.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn stop(&self) -> AsyncTask<Stop> {
        AsyncTask::new(Stop(self.inner.clone()))
    }

    /// What a memory port was given by the switch since the last call.
    #[napi]
    pub fn memory_take(&self, port: String) -> napi::Result<Vec<Uint8Array>> {
        let Some(queues) = self.inner.memory_port(&port) else {
            let subject = format!("port {port}");
            return Err(thrown(
                Error::new(ErrorCode::BadValue, subject).with_detail("no memory port"),
            ));
        };
        Ok(queues
            .outward
            .take()
            .into_iter()
            .map(Uint8Array::from)
            .collect())
    }

    /// Datagrams arrive at the memory underlay.
    #[napi]
    pub fn underlay_inject(&self, datagrams: Vec<MemoryDatagram>) -> napi::Result<()> {
        for datagram in datagrams {
            let datagram = datagram.convert().map_err(thrown)?;
            let underlay = self.underlay()?;
            underlay.inward.push(datagram).map_err(|_| {
                thrown(Error::new(ErrorCode::BadValue, "memory underlay").with_detail("full"))
            })?;
        }
        Ok(())
    }

    /// What the memory underlay was given to send since the last call.
    #[napi]
    pub fn underlay_take(&self) -> napi::Result<Vec<MemoryDatagram>> {
        let sent = self.underlay()?.outward.take().into_iter();
        let sent = sent.map(|d| MemoryDatagram {
            source: d.source.ip().to_string(),
            source_port: d.source.port().into(),
            destination: d.destination.ip().to_string(),
            destination_port: d.destination.port().into(),
            tos: Some(d.tos.into()),
            payload: d.payload.into(),
        });
        Ok(sent.collect())
    }

    fn underlay(&self) -> napi::Result<Arc<MemoryUnderlay>> {
        self.inner.memory_underlay().ok_or_else(|| {
            let none = Error::new(ErrorCode::BadValue, "memory underlay");
            thrown(none.with_detail("the underlay is made of sockets"))
        })
    }
}

impl MemoryDatagram {
    fn convert(self) -> Result<OwnDatagram, Error> {
        let address = |address: &str, port: u32| {
            let port = u16::try_from(port).ok();
            let ip: Option<std::net::IpAddr> = address.parse().ok();
            ip.zip(port).map(std::net::SocketAddr::from).ok_or_else(|| {
                Error::new(ErrorCode::BadValue, "datagram").with_detail(format!("{address:?}"))
            })
        };
        Ok(OwnDatagram {
            source: address(&self.source, self.source_port)?,
            destination: address(&self.destination, self.destination_port)?,
            tos: self.tos.map_or(Ok(0), u8::try_from).map_err(|_| {
                Error::new(ErrorCode::BadValue, "datagram").with_detail("a tos above 255")
            })?,
            payload: self.payload.to_vec(),
        })
    }
}

/// `apply`, off the main thread: opening TAPs in namespaces takes milliseconds each.
pub struct Apply {
    inner: Arc<::datapath::Datapath>,
    desired: Option<DesiredState>,
}

impl Task for Apply {
    type Output = ::datapath::engine::ApplyReport;
    type JsValue = ApplyReport;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Some(desired) = self.desired.take() else {
            return Err(thrown(Error::new(ErrorCode::BadValue, "apply")));
        };
        let desired = desired.convert().map_err(thrown)?;
        self.inner.apply(&desired).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, report: Self::Output) -> napi::Result<ApplyReport> {
        Ok(report.into())
    }
}

/// `capture`, off the main thread: for a filter with a host's name libpcap asks the resolver.
pub struct Capture {
    inner: Arc<::datapath::Datapath>,
    spec: Option<CaptureSpec>,
}

impl Task for Capture {
    type Output = ::datapath::engine::CaptureStatus;
    type JsValue = CaptureStatus;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Some(spec) = self.spec.take() else {
            return Err(thrown(Error::new(ErrorCode::BadValue, "capture")));
        };
        let spec = spec.convert().map_err(thrown)?;
        self.inner.capture(&spec).map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, status: Self::Output) -> napi::Result<CaptureStatus> {
        Ok(status.into())
    }
}

/// `makeTap`, off the main thread.
pub struct MakeTap {
    inner: Arc<::datapath::Datapath>,
    tap: NewTap,
}

impl Task for MakeTap {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let place = self.tap.place().map_err(thrown)?;
        let made = self.inner.make_tap(&self.tap.port, self.tap.mtu, &place);
        made.map_err(thrown)
    }

    fn resolve(&mut self, _env: Env, _output: ()) -> napi::Result<()> {
        Ok(())
    }
}

/// `stop`, off the main thread: it joins the workers.
pub struct Stop(Arc<::datapath::Datapath>);

impl Task for Stop {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        self.0.stop();
        Ok(())
    }

    fn resolve(&mut self, _env: Env, _output: ()) -> napi::Result<()> {
        Ok(())
    }
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}
