//! Mutations of seeds, in an order that a number decides. Main type: [`Mutations`].

/// Bytes that an input may grow to.
const INPUT_BYTES_MAX: usize = 8192;

/// Changes made to one input, at most.
const CHANGES_MAX: u64 = 6;

/// Inputs made from one another before a seed is taken anew.
const CHAIN: u64 = 8;

/// Values at the edge of what integers hold.
const EDGES: [u64; 9] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// Makes one input after the other.
#[derive(Debug)]
pub(crate) struct Mutations {
    state: u64,
    seeds: Vec<Vec<u8>>,
    input: Vec<u8>,
}

impl Mutations {
    /// Begins at a number.
    pub(crate) fn new(start: u64, mut seeds: Vec<Vec<u8>>) -> Self {
        seeds.push(Vec::new());
        Self { state: start, seeds, input: Vec::new() }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> &[u8] {
        if self.below(CHAIN) == 0 {
            let seed = self.index(self.seeds.len());
            self.input.clone_from(&self.seeds[seed]);
        }
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change();
        }
        self.input.truncate(INPUT_BYTES_MAX);
        &self.input
    }

    fn change(&mut self) {
        let (at, end) = self.range();
        match self.below(8) {
            0 if at < self.input.len() => self.input[at] ^= 1 << self.below(8),
            1 if at < self.input.len() => self.input[at] = self.draw() as u8,
            2 => _ = self.input.drain(at..end),
            3 => {
                let part = self.input[at..end].to_vec();
                self.insert(at, &part);
            }
            4 => {
                let other = self.index(self.seeds.len());
                let (from, to) = self.range_of(self.seeds[other].len());
                let part = self.seeds[other][from..to].to_vec();
                self.insert(at, &part);
            }
            5 => self.number(at),
            6 => self.input.truncate(end),
            _ => {
                let bytes = self.draw().to_le_bytes();
                let length = self.index(bytes.len());
                self.insert(at, &bytes[..length]);
            }
        }
    }

    /// A number of one to eight bytes, either end first, over what is there.
    fn number(&mut self, at: usize) {
        let (edge, width) = (EDGES[self.index(EDGES.len())], 1 << self.below(4));
        let bytes = if self.below(2) == 0 { edge.to_le_bytes() } else { edge.to_be_bytes() };
        let bytes = if self.below(2) == 0 { &bytes[..width] } else { &bytes[8 - width..] };
        for (place, byte) in self.input[at..].iter_mut().zip(bytes) {
            *place = *byte;
        }
    }

    fn insert(&mut self, at: usize, part: &[u8]) {
        if self.input.len() + part.len() <= INPUT_BYTES_MAX {
            self.input.splice(at..at, part.iter().copied());
        }
    }

    fn range(&mut self) -> (usize, usize) {
        self.range_of(self.input.len())
    }

    fn range_of(&mut self, length: usize) -> (usize, usize) {
        let at = self.index(length + 1);
        (at, at + self.index(length - at + 1))
    }

    fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number below this one, which is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// `SplitMix64`.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_start_gives_the_same_inputs() {
        let inputs = |start| {
            let mut mutations = Mutations::new(start, vec![b"a seed".to_vec(), vec![0; 100]]);
            (0..1000).map(|_| mutations.next().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }
}
