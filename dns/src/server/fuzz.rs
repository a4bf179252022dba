//! What fuzz targets (`tests/fuzz`) reach of the reader of packets, which is private. For nothing else.

use super::message::{Question, Refused};
use super::resolve::{Begun, begin};
use crate::zone::Zone;

/// What a packet is answered with from the zone alone; nothing where it is dropped, or upstream has to be asked.
pub fn answer(zone: &Zone, packet: &[u8]) -> Option<Vec<u8>> {
    match Question::read(packet) {
        Err(Refused::Dropped) => None,
        Err(Refused::Answer(answer)) => Some(answer),
        Ok(question) => match begin(zone, &question) {
            Begun::Ask(_) => None,
            Begun::Done(message) => Some(question.encode(message, question.udp_limit())),
        },
    }
}
