package naming

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Scheme is one way of naming. For one seed, different numbers have different texts.
type Scheme struct {
	Name  string
	Limit int // numbers below Limit have texts; 0: all 32-bit numbers have

	write func(dst []byte, seed, n uint64) []byte
}

// Append appends the text of a number.
func (s *Scheme) Append(dst []byte, seed uint64, n int) []byte { return s.write(dst, seed, uint64(n)) }

// Text returns the text of a number.
func (s *Scheme) Text(seed uint64, n int) string { return string(s.Append(nil, seed, n)) }

// All returns every scheme.
func All() []Scheme {
	return []Scheme{
		{Name: "1, 2, 3", write: func(dst []byte, seed, n uint64) []byte { return number(dst, first(seed)+n) }},
		{Name: "user_N", write: counter("user_", "")},
		{Name: "C-N", write: counter("C-", "")},
		{Name: "N/eu", write: counter("", "/eu")},
		{Name: "u<seed>-N", write: ofSeed},
		{Name: "zero padded", write: func(dst []byte, seed, n uint64) []byte { return padded(dst, first(seed)+n, 10) }},
		{Name: "A zero padded", write: func(dst []byte, seed, n uint64) []byte { return padded(append(dst, 'A'), first(seed)+n, 8) }},
		{Name: "uuid", write: uuid},
		{Name: "uuid of a time", write: timeUUID},
		{Name: "cus_<hex>", write: func(dst []byte, seed, n uint64) []byte { return hex(append(dst, "cus_"...), mix32(seed, n), 8) }},
		{Name: "hex of a counter", write: func(dst []byte, seed, n uint64) []byte { return strconv.AppendUint(dst, first(seed)+n, 16) }},
		{Name: "short random", write: short},
		{Name: "nameN@", write: counter("name", "@example.com")},
		{Name: "first.last@", write: email},
		{Name: "phone", write: func(dst []byte, seed, n uint64) []byte {
			return padded(append(dst, countryCodes[n%8]...), (first(seed)+n/8)*2654435761%1e10, 10)
		}},
		{Name: "decimals", write: func(dst []byte, seed, n uint64) []byte {
			n += first(seed)
			return padded(append(number(dst, n/100), '.'), n%100, 2)
		}},
		{Name: "sentence", write: sentence},
		{Name: "equal 200 bytes", write: func(dst []byte, seed, n uint64) []byte { return number(append(dst, equal...), first(seed)+n) }},
		{Name: "510 bytes", write: func(dst []byte, seed, n uint64) []byte {
			return append(number(dst, first(seed)+n), equal510[:510-digits(first(seed)+n)]...)
		}},
		{Name: "mixed scripts", write: mixed},
		{Name: "one character", Limit: runes, write: func(dst []byte, seed, n uint64) []byte { return character(dst, (n+seed*977)%runes) }},
		{Name: "URL", write: counter("https://shop.example/de/p/", "?ref=mail&utm_source=news")},
	}
}

// ByName returns a scheme. It panics if there is none: names are written in code.
func ByName(name string) Scheme {
	for _, s := range All() {
		if s.Name == name {
			return s
		}
	}
	panic("no naming scheme " + strconv.Quote(name))
}

// first returns the number at which a seed begins to count.
func first(seed uint64) uint64 { return seed * 7919 % 1e6 }

func number(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

func digits(n uint64) int { return len(strconv.FormatUint(n, 10)) }

func padded(dst []byte, n uint64, width int) []byte {
	for w := digits(n); w < width; w++ {
		dst = append(dst, '0')
	}
	return number(dst, n)
}

func counter(before, after string) func(dst []byte, seed, n uint64) []byte {
	return func(dst []byte, seed, n uint64) []byte {
		return append(number(append(dst, before...), first(seed)+n), after...)
	}
}

func ofSeed(dst []byte, seed, n uint64) []byte {
	return number(append(number(append(dst, 'u'), seed), '-'), n)
}

// mix scatters numbers over 64 bits without collisions.
func mix(seed, n uint64) uint64 {
	x := n + (seed+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mix32 scatters 32-bit numbers without collisions.
func mix32(seed, n uint64) uint64 {
	x := uint32(n) ^ uint32(seed*0x9e3779b1)
	x = (x ^ x>>16) * 0x85ebca6b
	x = (x ^ x>>13) * 0xc2b2ae35
	return uint64(x ^ x>>16)
}

// hex appends the last digits of x.
func hex(dst []byte, x uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[x>>(4*i)&15])
	}
	return dst
}

func uuid(dst []byte, seed, n uint64) []byte {
	a, b := mix(seed, n), mix(seed+1, n) // a differs for every n, apart from the four bits of the version
	dst = append(hex(append(hex(dst, a>>32, 8), '-'), a>>16, 4), '-', '4')
	dst = append(hex(dst, a, 3), '-', '8')
	return hex(append(hex(dst, a>>12, 3), '-'), b, 12)
}

func timeUUID(dst []byte, seed, n uint64) []byte {
	at := 1767225600000 + first(seed) + n/3
	dst = append(hex(append(hex(dst, at>>16, 8), '-'), at, 4), '-', '7')
	dst = append(hex(dst, n%3, 3), '-', 'a')
	return hex(append(hex(dst, mix(seed, n)>>48, 3), '-'), mix(seed, n), 12)
}

func short(dst []byte, seed, n uint64) []byte {
	const signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	x := mix(seed, n)
	for range 11 {
		dst = append(dst, signs[x%62])
		x /= 62
	}
	return dst
}

var countryCodes = [8]string{"+49", "+33", "+55", "+1", "+44", "+91", "+81", "+34"}

var firstNames = [16]string{"anna", "ben", "carla", "david", "emma", "felix", "grace", "hugo", "ida", "jan", "kim", "leo", "mia", "noah", "olga", "paul"}

var lastNames = [16]string{"silva", "meyer", "smith", "rossi", "garcia", "novak", "tanaka", "khan", "dubois", "jensen", "kowalski", "cruz", "popov", "adams", "lee", "okafor"}

func email(dst []byte, seed, n uint64) []byte {
	n += first(seed)
	dst = append(append(append(dst, firstNames[n%16]...), '.'), lastNames[n/16%16]...)
	if n >= 256 {
		dst = number(dst, n/256)
	}
	return append(dst, "@mail.example.org"...)
}

var words = [16]string{"the", "red", "shoes", "arrived", "late", "but", "my", "order", "was", "fine", "thank", "you", "for", "a", "quick", "answer"}

// sentence appends the base-16 digits of a number as words.
func sentence(dst []byte, seed, n uint64) []byte {
	dst = append(dst, "I wanted to say that"...)
	for n += first(seed); ; n /= 16 {
		dst = append(append(dst, ' '), words[n%16]...)
		if n < 16 {
			return append(dst, '.')
		}
	}
}

var equal = strings.Repeat("campaign/2026/autumn/", 10)[:200]

var equal510 = strings.Repeat("-padding", 64)

var scripts = [8]string{"клиент-", "用户", "عميل ", "épicerie n°", "😀", "Ωμέγα ", "고객", "ลูกค้า"}

func mixed(dst []byte, seed, n uint64) []byte {
	return number(append(dst, scripts[n%8]...), first(seed)+n/8)
}

// runes is the number of characters from the first printable one.
const runes = 0x110000 - 0x800 - '!'

func character(dst []byte, n uint64) []byte {
	r := rune('!' + n)
	if r >= 0xd800 { // surrogates are not characters
		r += 0x800
	}
	return utf8.AppendRune(dst, r)
}

// Texts returns n different texts, taken from all schemes in turn.
func Texts(seed uint64, n int) []string {
	schemes := All()
	next := make([]int, len(schemes))
	seen := make(map[string]struct{}, n)
	texts := make([]string, 0, n)
	for i := 0; len(texts) < n; i++ {
		s := &schemes[i%len(schemes)]
		at := next[i%len(schemes)]
		if next[i%len(schemes)]++; s.Limit > 0 && at >= s.Limit {
			continue
		}
		text := s.Text(seed, at)
		if _, there := seen[text]; there { // two schemes can have the same text
			continue
		}
		seen[text] = struct{}{}
		texts = append(texts, text)
	}
	return texts
}
