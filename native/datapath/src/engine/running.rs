//! The threads of a datapath that runs, and how they are reached.

use std::collections::HashSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Inner;
use super::keeper::{self, Parking};
use super::liveness::{Ending, Watcher};
use super::suppress::News;
use super::topology::{Network, PortIo, Topology};
use super::worker::{Command, Meter, Posts, Shared, Worker};
use crate::error::{Error, ErrorCode};
use crate::io::poll::Waker;

/// What there is to see at one moment.
pub(super) struct View {
    pub(super) topology: Arc<Topology>,
    pub(super) shared: Arc<Shared>,
}

impl View {
    pub(super) fn workers(&self) -> usize {
        self.shared.meters.len()
    }
}

/// The threads.
pub(super) struct Running {
    posts: Crew,
    /// Of the thread that watches the VTEPs.
    ending: Option<Ending>,
    threads: Vec<JoinHandle<()>>,
}

/// How the workers are reached.
#[derive(Clone, Default)]
pub(super) struct Crew(Vec<Post>);

/// Where a worker gets its commands.
#[derive(Clone)]
struct Post {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

impl Crew {
    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells a worker something.
    pub(super) fn tell(&self, worker: usize, command: Command) {
        let Some(post) = self.0.get(worker) else {
            return;
        };
        // A worker that has ended by a defect has said so in an event.
        let _ = post.commands.send(command);
        post.waker.wake();
    }
}

impl Running {
    /// Starts one thread per worker, the keeper, and the one that watches the VTEPs. On an error none is left.
    pub(super) fn start(view: &View, datapath: Weak<Inner>) -> Result<Self, Error> {
        let (requests, asked) = keeper::requests();
        let (watcher, ending) = Watcher::new()?;
        let mut running = Self {
            posts: Crew::default(),
            ending: Some(ending),
            threads: Vec::new(),
        };
        let mut workers = Vec::new();
        for index in 0..view.workers() {
            let (commands, mailbox) = channel();
            let waker = Arc::new(Waker::new()?);
            let posts = Posts {
                commands: mailbox,
                waker: waker.clone(),
                parking: Parking::new(requests.clone()),
            };
            workers.push(Worker::new(
                index,
                view.shared.clone(),
                view.topology.clone(),
                posts,
            )?);
            running.posts.0.push(Post { commands, waker });
        }
        drop(requests);
        for (index, worker) in workers.into_iter().enumerate() {
            running.spawn(format!("vswitch-{index}"), move || worker.run())?;
        }
        let watched = datapath.clone();
        running.spawn("vswitch-keeper".into(), move || {
            keeper::run(&datapath, &asked)
        })?;
        running.spawn("vswitch-vteps".into(), move || watcher.run(&watched))?;
        Ok(running)
    }

    /// Tells a worker something.
    pub(super) fn tell(&self, worker: usize, command: Command) {
        self.posts.tell(worker, command);
    }

    /// How the workers are reached by others.
    pub(super) fn crew(&self) -> Crew {
        self.posts.clone()
    }

    /// Gives every worker the new picture and waits until none uses the old one.
    pub(super) fn swap(&self, topology: &Arc<Topology>) {
        let (done, dones) = channel();
        for worker in 0..self.posts.len() {
            self.tell(
                worker,
                Command::Swap {
                    topology: topology.clone(),
                    done: done.clone(),
                },
            );
        }
        drop(done);
        for _ in 0..self.posts.len() {
            if dones.recv_timeout(SWAP_LIMIT).is_err() {
                // A worker that ended by a defect; its `fatal` event is on the way.
                return;
            }
        }
    }

    /// Has stations told of neighbors, piece by piece, so that frames move on in between.
    pub(super) fn announce(&self, news: Vec<News>) {
        let (done, dones) = channel();
        for news in news {
            let done = done.clone();
            self.tell(0, Command::Announce { news, done });
            if dones.recv_timeout(SWAP_LIMIT).is_err() {
                return;
            }
        }
    }

    /// Ends and joins every thread.
    pub(super) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ending = None;
        for worker in 0..self.posts.len() {
            self.tell(worker, Command::Stop);
        }
        for thread in self.threads.drain(..) {
            // It has caught its own panic and told it as an event.
            let _ = thread.join();
        }
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(body);
        match spawned {
            Ok(thread) => {
                self.threads.push(thread);
                Ok(())
            }
            Err(error) => {
                // The workers that run already; the others, and with them the way to the keeper, went with `body`s.
                self.end();
                let errno = error.raw_os_error().unwrap_or(0);
                Err(Error::from_syscall(
                    ErrorCode::NoFiles,
                    name,
                    "clone",
                    errno,
                ))
            }
        }
    }
}

/// Keeps the counts of what is no more, so that no sum ever goes back: of networks, of the underlay and of workers.
pub(super) fn retire(old: &Topology, new: &Topology, meters: &[Meter]) {
    let names: HashSet<&str> = new.networks.iter().map(|n| n.spec.name.as_str()).collect();
    for port in old.present_ports() {
        if new
            .port(port.id)
            .is_some_and(|p| Arc::ptr_eq(&p.counters, &port.counters))
        {
            continue;
        }
        for (meter, block) in meters.iter().zip(&*port.counters) {
            meter.retired.absorb(block);
        }
        if matches!(port.io, PortIo::Tunnel(_)) {
            let datagrams = port.counters.iter().map(|c| c.rx_frames.get()).sum();
            new.retired.add(datagrams);
        }
        let old_network = &old.networks[port.network];
        if names.contains(old_network.spec.name.as_str()) {
            for block in &*port.counters {
                old_network.retired.absorb(block);
            }
            for (note, times) in port.health.path.notes() {
                old_network.retired.notes.add(note, times);
            }
        }
    }
    for network in old
        .networks
        .iter()
        .filter(|n| !names.contains(n.spec.name.as_str()))
    {
        for (meter, block) in meters.iter().zip(&*network.counters) {
            for (reason, datagrams) in block.drops.nonzero() {
                meter.retired.drops.add(reason, datagrams);
            }
        }
        let drops = network
            .counters
            .iter()
            .flat_map(|c| c.drops.nonzero())
            .map(|(_, n)| n)
            .sum();
        new.retired.add(drops);
    }
}

/// Has the FDBs that no network of the new picture has tell their end. What workers still learn into them meanwhile is known
/// to nobody.
pub(super) fn retire_tables(old: &Topology, new: &Topology) {
    for network in &old.networks {
        let fdb = network.bridge.fdb();
        let stays = |n: &Network| Arc::ptr_eq(n.bridge.fdb(), fdb);
        if !new.networks.iter().any(stays) {
            fdb.retire();
        }
    }
}

const SWAP_LIMIT: Duration = Duration::from_secs(5);
