//! Alerting stage, pure: what waits for one receiver. Its length is bounded.

use std::collections::VecDeque;

use crate::webhook::message::{Kind, Message};

/// For incidents of one reason, 8 hours: one *down* and one *recovered* in each dedupe window of 15 minutes.
pub const CAPACITY: usize = 64;

/// Messages in the order in which they are sent.
#[derive(Debug, Default)]
pub struct Queue(VecDeque<Message>);

impl Queue {
    /// Adds a message, and returns how many others it pushed out. An *alive* that still waits is out of date when
    /// anything comes after it. When the queue is full the oldest *recovered* goes, and when there is none the oldest
    /// *down*.
    pub fn push(&mut self, message: Message) -> usize {
        let before = self.0.len();
        self.0.retain(|waiting| waiting.kind != Kind::Alive);
        if self.0.len() >= CAPACITY {
            let position = self.0.iter().position(|waiting| waiting.kind == Kind::Recovered).unwrap_or(0);
            self.0.remove(position);
        }
        let dropped = before - self.0.len();
        self.0.push_back(message);
        dropped
    }

    /// The next one to be sent.
    pub fn first(&self) -> Option<&Message> {
        self.0.front()
    }

    /// Removes the message with this id; it may have been pushed out meanwhile.
    pub fn remove(&mut self, id: &str) {
        self.0.retain(|waiting| waiting.id != id);
    }

    /// Removes all; returns how many there were.
    pub fn clear(&mut self) -> usize {
        let waiting = self.0.len();
        self.0.clear();
        waiting
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message(id: usize, kind: Kind) -> Message {
        Message { id: id.to_string(), kind, created: Duration::ZERO, body: Vec::new() }
    }

    fn ids(queue: &Queue) -> Vec<&str> {
        queue.0.iter().map(|message| message.id.as_str()).collect()
    }

    #[test]
    fn an_old_alive_makes_way_for_whatever_comes() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(message(1, Kind::Alive)), 0);
        assert_eq!(queue.push(message(2, Kind::Alive)), 1);
        assert_eq!(queue.push(message(3, Kind::Down)), 1);
        assert_eq!(queue.push(message(4, Kind::Recovered)), 0);
        assert_eq!(queue.push(message(5, Kind::Alive)), 0);
        assert_eq!(ids(&queue), ["3", "4", "5"]);
        queue.remove("4");
        queue.remove("4");
        assert_eq!(queue.first().map(|first| first.id.as_str()), Some("3"));
        assert_eq!(queue.clear(), 2);
    }

    #[test]
    fn it_is_bounded_and_keeps_every_down_it_can() {
        let mut queue = Queue::default();
        let mut dropped = 0;
        for id in 0..CAPACITY {
            dropped += queue.push(message(2 * id, Kind::Down));
            dropped += queue.push(message(2 * id + 1, Kind::Recovered));
        }
        assert_eq!((queue.0.len(), dropped), (CAPACITY, CAPACITY));
        let downs = queue.0.iter().filter(|message| message.kind == Kind::Down).count();
        assert_eq!(downs, CAPACITY - 1, "the last is the last recovered, and one down had to go for it");
        assert_eq!(queue.push(message(9999, Kind::Down)), 1);
        assert_eq!(queue.0.back().map(|last| last.id.as_str()), Some("9999"));
    }
}
