//! What a question is answered with: from the zone at once, or after asking upstream. Main function: [`begin`].

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::Record as WireRecord;

use super::Shared;
use super::message::{Question, labels, name};
use crate::zone::{Answer, Data, Kind, Record, Zone};

/// Aliases followed within the zone; more are a ring.
const ALIASES: usize = 8;

/// How far the zone gets.
pub(super) enum Begun {
    /// The whole answer.
    Done(Message),
    /// Upstream has to be asked.
    Ask(Open),
}

/// An answer that lacks what upstream says.
pub(super) struct Open {
    /// What to ask.
    query: Query,
    /// Records that come first.
    aliases: Vec<WireRecord>,
}

/// Answers from the zone as far as it goes.
pub(super) fn begin(zone: &Zone, question: &Question) -> Begun {
    let mut asked = labels(&question.query().name);
    let mut aliases: Vec<Record> = Vec::new();
    for _ in 0..ALIASES {
        let borrowed: Vec<&str> = asked.iter().map(String::as_str).collect();
        let answer = zone.answer(&borrowed, question.kind());
        let own = (!aliases.is_empty()).then(|| asked.join("."));
        match answer {
            Answer::Foreign => return ask(question, aliases, own),
            Answer::Alias(target) => {
                aliases.push(Record { name: own, data: Data::Cname(target.clone()) });
                if question.kind() == Kind::Cname {
                    return Begun::Done(reply(zone, question, ResponseCode::NoError, aliases, Vec::new()));
                }
                asked = target.split('.').map(str::to_owned).collect();
            }
            Answer::Found { records, additional } => {
                let named = records.into_iter().map(|record| Record { name: own.clone(), ..record });
                let records = aliases.into_iter().chain(named).collect();
                return Begun::Done(reply(zone, question, ResponseCode::NoError, records, additional));
            }
            Answer::NoData => return Begun::Done(reply(zone, question, ResponseCode::NoError, aliases, Vec::new())),
            Answer::NoName => return Begun::Done(reply(zone, question, ResponseCode::NXDomain, aliases, Vec::new())),
        }
    }
    Begun::Done(question.reply(ResponseCode::ServFail))
}

fn ask(question: &Question, aliases: Vec<Record>, own: Option<String>) -> Begun {
    let target = match own {
        None => Some(question.query().name.clone()),
        Some(own) => name(&own),
    };
    match target {
        Some(target) => {
            let query = Query::query(target, question.query().query_type);
            let aliases = aliases.into_iter().filter_map(|record| question.record(record)).collect();
            Begun::Ask(Open { query, aliases })
        }
        None => Begun::Done(question.reply(ResponseCode::ServFail)),
    }
}

/// An answer of the zone. Without records it tells by its authority how long that holds.
fn reply(
    zone: &Zone,
    question: &Question,
    code: ResponseCode,
    mut records: Vec<Record>,
    additional: Vec<Record>,
) -> Message {
    let mut message = question.reply(code);
    message.metadata.authoritative = true;
    if records.iter().all(|record| matches!(record.data, Data::Cname(_))) && question.kind() != Kind::Cname {
        message.authorities.extend(question.record(zone.authority()));
    }
    spread(&mut records, &mut message);
    message.answers.extend(records.into_iter().filter_map(|record| question.record(record)));
    message.additionals.extend(additional.into_iter().filter_map(|record| question.record(record)));
    message
}

/// Addresses begin at a random one, so that clients that take the first share the work.
fn spread(records: &mut [Record], message: &mut Message) {
    let Some(first) = records.iter().position(|record| matches!(record.data, Data::Address(_))) else { return };
    let addresses = &mut records[first..];
    if addresses.len() > 1 {
        // The client's number is as good as random.
        addresses.rotate_left(usize::from(message.metadata.id) % addresses.len());
    }
}

/// Asks upstream for the rest.
pub(super) async fn finish(shared: &Shared, question: &Question, open: Open) -> Message {
    let answer = shared.forwarder.ask(open.query, question.wants_dnssec(), question.is_unchecked()).await;
    let Ok(answer) = answer else { return question.reply(ResponseCode::ServFail) };
    let mut message = question.reply(answer.metadata.response_code);
    message.metadata.authentic_data = answer.metadata.authentic_data && open.aliases.is_empty();
    message.answers = open.aliases;
    message.answers.extend(answer.answers.iter().cloned());
    message.authorities = answer.authorities.clone();
    message.additionals = answer.additionals.clone();
    message
}
