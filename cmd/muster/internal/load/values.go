package load

import (
	"bytes"
	"math"
	"strconv"
)

// plainNumber reports whether text is a JSON number, or one without a digit on one side of its point (.5,
// 5.). Text with leading zeros (007) or a plus sign is not: it is rather a code or a telephone number.
// Neither is an integer that does not fit into 64 bits, as it would lose its last digits.
func plainNumber(text []byte) ([]byte, bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		i++
	}
	whole := countDigits(text[i:])
	if whole > 1 && text[i] == '0' {
		return nil, false
	}
	i += whole
	fraction, exponent := 0, false
	if i < len(text) && text[i] == '.' {
		fraction = countDigits(text[i+1:])
		i += 1 + fraction
	}
	if whole+fraction == 0 {
		return nil, false
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		exponent = true
		i++
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		n := countDigits(text[i:])
		if n == 0 || n > 3 {
			return nil, false
		}
		i += n
	}
	if i != len(text) {
		return nil, false
	}
	if whole >= 19 && !exponent && fraction == 0 {
		if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
			return nil, false
		}
	}
	return text, true
}

// appendNumber appends a plain number as JSON requires it, with a digit on both sides of the point.
func appendNumber(dst, number []byte) []byte {
	point := bytes.IndexByte(number, '.')
	if point < 0 {
		return append(dst, number...)
	}
	dst = append(dst, number[:point]...)
	if point == 0 || number[point-1] == '-' {
		dst = append(dst, '0')
	}
	dst = append(dst, '.')
	if point+1 == len(number) || number[point+1] < '0' || number[point+1] > '9' {
		dst = append(dst, '0')
	}
	return append(dst, number[point+1:]...)
}

// appendLenientNumber appends text from a column that is known to contain numbers. It ignores leading
// zeros, a plus sign and surrounding blanks, and accepts integers of more than 64 bits. If text is no
// number it reports false and appends nothing.
func appendLenientNumber(dst, text []byte) ([]byte, bool) {
	text = bytes.TrimSpace(text)
	if number, ok := plainNumber(text); ok {
		return appendNumber(dst, number), true
	}
	before := len(dst)
	switch {
	case len(text) > 1 && text[0] == '-':
		dst = append(dst, '-')
		text = text[1:]
	case len(text) > 1 && text[0] == '+':
		text = text[1:]
	}
	for len(text) > 1 && text[0] == '0' && countDigits(text[1:2]) == 1 {
		text = text[1:]
	}
	number, ok := text, countDigits(text) == len(text)
	if !ok && text[0] != '-' {
		number, ok = plainNumber(text)
	}
	if !ok || len(text) == 0 {
		return dst[:before], false
	}
	return appendNumber(dst, number), true
}

func countDigits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

func plainBool(text []byte) (value, ok bool) {
	switch string(text) {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

const (
	// maxTime is the end of the year 9999 in Unix ms, and minTime the beginning of the year 1.
	maxTime = 253402300799999
	minTime = -62135596800000
	// millisFrom is the smallest number that is taken as milliseconds: as seconds it would be after the
	// year 5000.
	millisFrom = 100_000_000_000
)

// ParseTime parses RFC 3339, YYYY-MM-DD, YYYY-MM-DD hh:mm:ss (UTC), Unix seconds or Unix milliseconds
// into Unix milliseconds, rounded down.
func ParseTime(text []byte) (int64, bool) {
	if len(text) >= 10 && text[4] == '-' && text[7] == '-' {
		return parseDateText(text)
	}
	return parseUnix(text)
}

// isDateText reports whether text is a date or a time that begins with a date, rather than a number.
func isDateText(text []byte) bool {
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return false
	}
	_, ok := parseDateText(text)
	return ok
}

func parseUnix(text []byte) (int64, bool) {
	number, ok := plainNumber(text)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil || math.Abs(f) > maxTime {
		return 0, false
	}
	if math.Abs(f) >= millisFrom {
		return int64(math.Floor(f)), true
	}
	if countDigits(number) == len(number) {
		return int64(f) * 1000, true
	}
	return int64(math.Floor(math.Round(f*1e6) / 1e3)), true
}

func parseDateText(text []byte) (int64, bool) {
	year, ok1 := number(text[0:4])
	month, ok2 := number(text[5:7])
	day, ok3 := number(text[8:10])
	if !ok1 || !ok2 || !ok3 || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	ms := daysBefore(year, month, day) * 86_400_000
	rest := text[10:]
	if len(rest) == 0 {
		return ms, true
	}
	if len(rest) < 9 || rest[0] != ' ' && rest[0] != 'T' && rest[0] != 't' || rest[3] != ':' || rest[6] != ':' {
		return 0, false
	}
	hour, ok1 := number(rest[1:3])
	minute, ok2 := number(rest[4:6])
	second, ok3 := number(rest[7:9])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	ms += int64(hour*3600+minute*60+second) * 1000
	rest = rest[9:]
	if len(rest) > 0 && (rest[0] == '.' || rest[0] == ',') {
		n := countDigits(rest[1:])
		if n == 0 {
			return 0, false
		}
		scale := int64(100)
		for _, c := range rest[1 : 1+min(n, 3)] {
			ms += int64(c-'0') * scale
			scale /= 10
		}
		rest = rest[1+n:]
	}
	offset, ok := zone(rest)
	return ms - offset, ok
}

// zone parses the text after a time, which is empty, Z or an offset, into milliseconds east of UTC.
func zone(rest []byte) (int64, bool) {
	switch {
	case len(rest) == 0 || len(rest) == 1 && (rest[0] == 'Z' || rest[0] == 'z'):
		return 0, true
	case rest[0] != '+' && rest[0] != '-':
		return 0, false
	}
	sign := int64(1)
	if rest[0] == '-' {
		sign = -1
	}
	rest = rest[1:]
	if len(rest) == 5 && rest[2] == ':' {
		rest = append(append(make([]byte, 0, 4), rest[:2]...), rest[3:]...)
	}
	if len(rest) != 4 {
		return 0, false
	}
	hours, ok1 := number(rest[:2])
	minutes, ok2 := number(rest[2:])
	return sign * int64(hours*60+minutes) * 60_000, ok1 && ok2 && hours <= 23 && minutes <= 59
}

func number(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysBefore returns the number of days from 1970-01-01 to a date in the proleptic Gregorian calendar. It
// counts years from March, so that the leap day comes last.
func daysBefore(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468)
}
