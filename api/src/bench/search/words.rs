//! Made-up words of an English and a Chinese vocabulary, as frequent as those of a natural language.

/// English words.
pub(super) const ENGLISH: u64 = 30_000;
/// Chinese words.
pub(super) const CHINESE: u64 = 20_000;
/// Most frequent Chinese words, which are single characters.
pub(super) const CHINESE_SINGLE: u64 = 40;
/// Characters that the others are made of.
const CHARACTERS: u64 = 3_500;

/// Characters by how frequent they are; rarer ones follow by number.
const FREQUENT: &str = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运";

/// A sequence of numbers that is the same for every machine: SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A rank below `end`, in which small ones are as frequent as in a natural language.
    pub(super) fn zipf(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((end as f64).powf(unit) - 1.0) as u64
    }
}

/// Both vocabularies, by rank.
pub(super) struct Words {
    english: Vec<String>,
    chinese: Vec<String>,
}

impl Words {
    pub(super) fn new() -> Self {
        let frequent: Vec<char> = FREQUENT.chars().collect();
        Self {
            english: (0..ENGLISH).map(make_english).collect(),
            chinese: (0..CHINESE).map(|rank| make_chinese(rank, &frequent)).collect(),
        }
    }

    /// The English word of a rank.
    pub(super) fn english(&self, rank: u64) -> &str {
        &self.english[rank as usize]
    }

    /// The Chinese word of a rank.
    pub(super) fn chinese(&self, rank: u64) -> &str {
        &self.chinese[rank as usize]
    }

    /// A text of so many words in one of the two languages: of ten texts so many are English.
    pub(super) fn text(&self, dice: &mut Dice, words: u64, english_of_ten: u64) -> String {
        let mut text = String::with_capacity(words as usize * 8);
        let english = dice.below(10) < english_of_ten;
        for number in 0..words {
            if english {
                if number > 0 {
                    text.push(' ');
                }
                text.push_str(self.english(dice.zipf(ENGLISH)));
            } else {
                text.push_str(self.chinese(dice.zipf(CHINESE)));
                if number % 7 == 6 {
                    text.push('，');
                }
            }
        }
        text
    }
}

fn make_english(rank: u64) -> String {
    const PARTS: [&str; 24] = [
        "ba", "con", "de", "er", "fi", "ga", "ho", "in", "ja", "ko", "lu", "ma", "net", "or",
        "pri", "qua", "re", "ser", "ti", "un", "ver", "wo", "ex", "za",
    ];
    let mut dice = Dice(rank);
    let length = 1 + u64::from(rank > 50) + u64::from(rank > 1_000) + dice.below(2);
    let mut word: String = (0..length).map(|_| PARTS[dice.below(24) as usize]).collect();
    word.push_str(["", "", "s", "ing", "ed", "er"][dice.below(6) as usize]);
    word
}

fn make_chinese(rank: u64, frequent: &[char]) -> String {
    let mut dice = Dice(rank ^ 0xABCD);
    let length = if rank < CHINESE_SINGLE { 1 } else { 2 + u64::from(dice.below(6) == 0) };
    let character = |number: u64| match frequent.get(number as usize) {
        Some(character) => *character,
        None => u32::try_from(number * 5 % 20_000)
            .ok()
            .and_then(|number| char::from_u32(0x4E00 + number))
            .unwrap_or('的'),
    };
    (0..length).map(|_| character(dice.zipf(CHARACTERS))).collect()
}
