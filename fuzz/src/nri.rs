//! What a container runtime sends: bytes → frames → messages → calls.

use std::path::Path;

use lanner_nri::rehearsal::{Rehearsal, demultiplexed, framed, messages, request, requests};

/// The first byte of an input of bytes as they are; others are calls.
const BYTES: u8 = 0;
/// Methods that an input's calls name by number.
const METHODS: [&str; 10] = [
    "Configure",
    "Synchronize",
    "Shutdown",
    "StateChange",
    "RunPodSandbox",
    "RemovePodSandbox",
    "CreateContainer",
    "StartContainer",
    "PostStartContainer",
    "RemoveContainer",
];
/// The most that a message may hold.
const LIMIT: usize = 4 << 20;

/// How the first byte says to cut the rest.
fn pieces(data: &[u8]) -> Option<(&[u8], usize)> {
    let (step, rest) = data.split_first()?;
    Some((rest, usize::from(*step).max(1)))
}

/// Frames are the same in whatever pieces they come.
pub fn mux(data: &[u8]) {
    let Some((bytes, step)) = pieces(data) else {
        return;
    };
    let whole = demultiplexed([bytes]);
    assert_eq!(whole, demultiplexed(bytes.chunks(step)));
    let carried: usize = whole.0.iter().map(Vec::len).sum();
    assert!(carried <= bytes.len());
    // What is framed comes back.
    assert_eq!(
        demultiplexed([&framed(bytes)[..]]),
        ([bytes.to_vec(), Vec::new()], None)
    );
}

/// Messages are the same in whatever pieces they come.
pub fn ttrpc(data: &[u8]) {
    let Some((bytes, step)) = pieces(data) else {
        return;
    };
    let whole = messages([bytes]);
    assert_eq!(whole, messages(bytes.chunks(step)));
    // One that is too long for a message stands for as many as its bytes could.
    assert!(whole.0.len() <= bytes.len() / 10);
}

/// Whatever a runtime sends, no handler panics, every call has one answer, and what is kept has bounds.
pub fn nri(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let mut plugin = Rehearsal::new(Path::new("/nonexistent"));
    let calls = match *kind {
        BYTES => {
            let Ok(out) = plugin.receive(rest) else {
                return;
            };
            answers(&out);
            None
        }
        _ => Some(each_call(rest, &mut |method, payload| {
            let out = plugin.receive(&framed(&request(3, method, payload)));
            let Ok(out) = out else {
                panic!("a call of {method} ended the connection: {out:?}");
            };
            let answers = answers(&out);
            assert_eq!(answers.len(), 1, "{method}: {answers:?}");
            assert!(answers[0].contains("code: 0,"), "{method}: {answers:?}");
        })),
    };
    let now = plugin.status();
    assert_eq!(now.panics, 0);
    assert!(plugin.containers() <= rest.len());
    assert!(calls.is_none_or(|calls| now.replies.count == calls));
    assert_eq!(now.containers, 0, "there is no cgroup on this host");
}

fn each_call(mut input: &[u8], call: &mut dyn FnMut(&str, &[u8])) -> u64 {
    let mut calls = 0;
    while let Some(([method, high, low], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        call(METHODS[usize::from(*method) % METHODS.len()], payload);
        calls += 1;
        input = rest;
    }
    calls
}

/// What the plugin sent are frames of answers.
fn answers(out: &[u8]) -> Vec<String> {
    let ([answers, calls], error) = demultiplexed([out]);
    assert!(error.is_none() && calls.is_empty());
    assert!(answers.len() <= LIMIT);
    let (answers, error) = messages([&answers[..]]);
    assert!(error.is_none() && answers.iter().all(|answer| answer.starts_with("Response")));
    answers
}

pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let requests = requests(&"a".repeat(64));
    let numbered = || (1u32..).step_by(2).zip(&requests);
    let wire = |frame: fn(&[u8]) -> Vec<u8>| {
        let mut seeds: Vec<Vec<u8>> = numbered()
            .map(|(stream, (method, payload))| frame(&request(stream, method, payload)))
            .collect();
        seeds.push(seeds.concat());
        // A connection that nobody has, with a length that nobody sends.
        seeds.push(vec![0xff; 24]);
        seeds
    };
    let with =
        |first: u8, seeds: Vec<Vec<u8>>| seeds.into_iter().map(move |seed| [vec![first], seed].concat());
    match target {
        "mux" => with(7, wire(framed)).collect(),
        "ttrpc" => with(7, wire(<[u8]>::to_vec)).collect(),
        _ => {
            let call = |(method, payload): &(&str, Vec<u8>)| {
                let number = METHODS.iter().position(|name| name == method).unwrap_or(0);
                let length = u16::try_from(payload.len()).unwrap_or(0).to_be_bytes();
                [&[u8::try_from(number).unwrap_or(0)][..], &length, payload].concat()
            };
            let calls: Vec<u8> = requests.iter().flat_map(call).collect();
            let each = requests.iter().map(|request| [vec![1], call(request)].concat());
            let mut seeds: Vec<Vec<u8>> = with(BYTES, wire(framed)).chain(each).collect();
            seeds.push([vec![1], calls].concat());
            seeds
        }
    }
}
