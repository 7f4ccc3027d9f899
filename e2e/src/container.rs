//! The processes of a container, as the node sees them: what happens to a gateway from outside of it. I/O: `/proc`,
//! signals.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// A running container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container {
    id: String,
}

/// What `/proc` says of a process.
struct Process {
    id: i32,
    parent: i32,
    /// Its id in the container.
    inner: i32,
}

impl Container {
    /// A container of a Pod by its name, or a sidecar.
    pub fn of(pod: &Pod, name: &str) -> Outcome<Self> {
        let status = pod.status.as_ref().ok_or("a Pod without a status")?;
        let mut all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let container = all.find(|container| container.name == name).ok_or("no such container")?;
        let id = container.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://"));
        Ok(Self { id: id.ok_or("the container has not been created")?.to_owned() })
    }

    /// Sends a signal to its program: the child of an init process, where it has one.
    pub fn signal(&self, signal: Signal) -> Outcome {
        let program = Pid::from_raw(self.program()?).ok_or("a process without an id")?;
        Ok(kill_process(program, signal)?)
    }

    /// Its file system, with what is mounted there, and as writable.
    pub fn root(&self) -> Outcome<PathBuf> {
        Ok(Path::new("/proc").join(self.program()?.to_string()).join("root"))
    }

    fn program(&self) -> Outcome<i32> {
        let processes = self.processes()?;
        let first = processes.iter().find(|process| process.inner == 1).ok_or("the container has ended")?;
        let child = processes.iter().find(|process| process.parent == first.id);
        Ok(child.unwrap_or(first).id)
    }

    fn processes(&self) -> Outcome<Vec<Process>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            // A process may end while it is looked at.
            let Ok(groups) = fs::read_to_string(path.join("cgroup")) else { continue };
            if !groups.contains(&self.id) {
                continue;
            }
            let Ok(status) = fs::read_to_string(path.join("status")) else { continue };
            found.extend(read(&status));
        }
        Ok(found)
    }
}

fn read(status: &str) -> Option<Process> {
    let numbers =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace);
    let last = |name| numbers(name).and_then(|numbers| numbers.last()?.parse().ok());
    // The last of the ids is that of the innermost namespace.
    Some(Process { id: last("Pid:")?, parent: last("PPid:")?, inner: last("NSpid:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_another_id_in_its_container() {
        let process = read("Name:\tnode\nPid:\t4242\nPPid:\t4200\nNSpid:\t4242\t7\n").unwrap();
        assert_eq!((process.id, process.parent, process.inner), (4242, 4200, 7));
        assert!(read("Name:\tnode\n").is_none());
    }
}
