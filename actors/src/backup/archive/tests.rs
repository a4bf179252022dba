//! Backups that are whole, and what becomes of them.

use super::*;

fn header() -> Header {
    Header {
        cluster: "c1".into(),
        node: "n1".into(),
        release: "0.1.0".into(),
        created: 7,
        revision: 9,
        feature_level: 1,
        cluster_key: [3; 32],
    }
}

fn archive(chunks: &[&[u8]]) -> Vec<u8> {
    let chunks = chunks.iter().map(|chunk| Ok(chunk.to_vec()));
    write(&header(), chunks).map(Result::unwrap).collect::<Vec<_>>().concat()
}

fn unpack(bytes: &[u8]) -> Result<(Header, Vec<Vec<u8>>), ArchiveError> {
    let mut chunks = Vec::new();
    let header = read(bytes, |chunk| {
        chunks.push(chunk.to_vec());
        Ok(())
    })?;
    Ok((header, chunks))
}

#[test]
fn what_was_written_is_read_again() {
    let rows: [&[&[u8]]; 3] = [&[], &[b"one"], &[b"one", b"two"]];
    for chunks in rows {
        let (read, found) = unpack(&archive(chunks)).unwrap();
        assert_eq!((read, found), (header(), chunks.iter().map(|chunk| chunk.to_vec()).collect()));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let whole = archive(&[b"one", b"two"]);
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            assert!(unpack(&changed).is_err(), "bit {bit} of byte {place}");
        }
        let cut = unpack(&whole[..place]).unwrap_err();
        assert!(matches!(cut, ArchiveError::CutOff(at) if at == place as u64), "cut at {place}: {cut}");
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let whole = archive(&[b"one"]);
    let newer = [&whole[..8], &[2, 0, 0, 0], &whole[12..]].concat();
    let longer = [&whole[..], b"x"].concat();
    let rows: [(&[u8], &str); 4] = [
        (b"apiVersion: v1\nkind: List", "name a file that `mesh backup` wrote"),
        (&newer, "form 2 and this release reads up to 1: restore it with the release that wrote it"),
        (&longer, "something follows its end"),
        (&whole[..whole.len() - 1], "cut off: it ends after"),
    ];
    for (bytes, part) in rows {
        let said = unpack(bytes).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
    let refused = read(whole.as_slice(), |_| Err("no such chunk".into())).unwrap_err().to_string();
    assert!(refused.contains("damaged, before byte") && refused.contains("no such chunk"), "{refused}");
}

#[test]
fn a_header_is_not_shown_with_its_key() {
    assert!(!format!("{:?}", header()).contains("key"));
}

#[test]
fn a_stored_backup_is_read_for_ever() {
    let sample: Vec<u8> = SAMPLE.split_whitespace().flat_map(|line| line.as_bytes().chunks(2)).map(byte).collect();
    assert_eq!(unpack(&sample).unwrap(), (header(), vec![b"one".to_vec()]));
}

fn byte(digits: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}

/// Of the first release, with a field that it did not know.
const SAMPLE: &str = "
6d6573686261636b01000000b40000007b22636c7573746572223a226331222c226e6f6465223a226e31222c2272656c65617365223a2230
2e312e30222c2263726561746564223a372c227265766973696f6e223a392c22666561747572654c6576656c223a312c22636c7573746572
4b6579223a5b332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c332c
332c332c332c332c332c332c335d2c226c61746572223a747275657d030000006f6e650000000070a04251653bd2a383fbfb0eab2193da83
e33c67f62e397c0afb6cd359e6a583
";
