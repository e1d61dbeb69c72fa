//! The characters that stand in many texts, pairs of which are keys of their own.

use std::collections::HashSet;
use std::sync::LazyLock;

/// The most frequent Han characters of everyday Chinese, roughly in order, with those of support desks behind them.
pub(super) const HAN: [&str; 7] = [
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方",
    "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情",
    "明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给",
    "世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太",
    "量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象",
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运退款票单订货网络密码登录账户错",
    "误连失败印启服器客邮箱版付费换快递流请谢您吗呢吧",
];

static FREQUENT: LazyLock<HashSet<char>> =
    LazyLock::new(|| HAN.iter().flat_map(|line| line.chars()).collect());

/// Whether a token is a single character of which there are many: a frequent Han character or a kana.
pub(super) fn is_frequent(token: &str) -> bool {
    let mut characters = token.chars();
    let (Some(first), None) = (characters.next(), characters.next()) else { return false };
    matches!(first, '\u{3041}'..='\u{30FF}') || FREQUENT.contains(&first)
}
