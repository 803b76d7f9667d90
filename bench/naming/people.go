package naming

// people are the schemes for ids of people, used in turn: short ones and one long one, so that they are on
// average about as long as user-N and figures of benchmarks stay comparable.
var people = [16]func(dst []byte, n uint64) []byte{
	userN, plainN, cusN, paddedN, userN, hyphenN, mailN, cusN,
	userN, plainN, cusN, paddedN, userN, hyphenN, paddedN, plainN,
}

func userN(dst []byte, n uint64) []byte   { return number(append(dst, "user-"...), n) }
func plainN(dst []byte, n uint64) []byte  { return number(dst, n) }
func hyphenN(dst []byte, n uint64) []byte { return number(append(dst, "C-"...), n) }
func paddedN(dst []byte, n uint64) []byte { return padded(append(dst, 'A'), n, 9) }
func cusN(dst []byte, n uint64) []byte    { return hex(append(dst, "cus_"...), mix32(0, n), 8) }
func mailN(dst []byte, n uint64) []byte {
	return append(number(append(dst, "name"...), n), "@example.com"...)
}

// AppendPerson appends the id of the person with a number of at most 32 bits.
func AppendPerson(dst []byte, n int) []byte { return people[n%len(people)](dst, uint64(n)) }
