//! What requests take of memory: those at work, those that wait, and those for which others are asked.
//!
//! A worked example: a container with a limit of 128 MiB that uses 28 MiB by itself, and 5 MiB for each request. With
//! 20 requests in it there is no room for another one: the 21st makes the kernel kill it. All 21 see their connection
//! break, and the kubelet starts the container anew, each time later (`OOMKilled`, CrashLoopBackOff).

use super::Engine;
use crate::runtime;

impl Engine {
    /// Whether a server's requests are too many for its memory: then it is killed.
    pub(super) fn fits(&mut self, at: u32) -> bool {
        let server = &self.servers[at as usize];
        let taken = self.models[server.model as usize].memory * i64::from(server.load());
        if taken == 0 || server.memory_limit == 0 || server.process.is_none() {
            return true;
        }
        let own = self.meters.own_memory(server.pod, &server.container, self.now);
        if own + taken <= server.memory_limit {
            return true;
        }
        self.out_of_memory(at);
        false
    }

    /// Tells the meters of what requests take; who has grown too large beside them is killed.
    pub(super) fn tell_memory(&mut self, at: u32) {
        if !self.fits(at) {
            return;
        }
        let server = &mut self.servers[at as usize];
        let memory = self.models[server.model as usize].memory * i64::from(server.load());
        if memory != server.memory && server.process.is_some() {
            self.meters.hold_memory(server.pod, &server.container, self.now, memory);
            server.memory = memory;
        }
        self.stats.used_memory(server.node, self.now, memory);
    }

    /// The kernel kills a server's process, and its kubelet will see it.
    fn out_of_memory(&mut self, at: u32) {
        let (server, now) = (&mut self.servers[at as usize], self.now);
        if let Some(process) = &mut server.process {
            process.ends = Some(now);
        }
        self.listeners.kill(server.pod, &server.container, now);
        if let Some(bound) = self.pods.get(&server.pod) {
            self.called.push_back(runtime::Call { at: now, actor: "kubelet", key: bound.key.clone() });
        }
        self.process_ended(at);
    }
}
