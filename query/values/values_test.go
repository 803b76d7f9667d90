package values

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

func TestMatcher(t *testing.T) {
	for _, c := range []struct {
		op      tree.TextOp
		pattern string
		fold    bool
		s       string
		want    bool
	}{
		{tree.Contains, "b", false, "abc", true},
		{tree.Contains, "B", false, "abc", false},
		{tree.Contains, "B", true, "abc", true},
		{tree.Contains, "", false, "", true},
		{tree.StartsWith, "ab", false, "abc", true},
		{tree.StartsWith, "bc", false, "abc", false},
		{tree.EndsWith, "@X.com", true, "a@x.COM", true},
		{tree.EndsWith, "x", false, "", false},
		{tree.Contains, "K", true, "\u212a", true}, // the Kelvin sign folds to k
		{tree.Contains, "ΣΊΣΥΦΟΣ", true, "σίσυφος", true},
		{tree.Contains, "SS", true, "ß", false}, // simple folding keeps lengths
		{tree.Matches, "b", false, "abc", true},
		{tree.Matches, "^b", false, "abc", false},
		{tree.Matches, "^A.C$", true, "abc", true},
		{tree.Matches, "a)|(b", false, "b", false},
	} {
		match, err := NewMatcher(c.op, c.pattern, c.fold)
		if err != nil {
			if c.pattern != "a)|(b" {
				t.Errorf("%v %q: %v", c.op, c.pattern, err)
			}
			continue
		}
		if got := match(c.s); got != c.want {
			t.Errorf("%v %q (fold %v) of %q: %v", c.op, c.pattern, c.fold, c.s, got)
		}
	}
}

// FuzzFold checks that folded strings are equal if and only if strings.EqualFold reports that they are.
func FuzzFold(f *testing.F) {
	f.Add("Straße", "STRASSE")
	f.Add("kelvin", "\u212aELVIN")
	f.Add("ſ", "S")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?")
		if (foldText(a) == foldText(b)) != strings.EqualFold(a, b) {
			t.Fatalf("%q and %q: folded %q and %q", a, b, foldText(a), foldText(b))
		}
	})
}

// TestShares checks ids in adjacent shares against the exact quotient of their hash.
func TestShares(t *testing.T) {
	number := func(text string) tree.Number {
		n, ok := tree.ParseNumber(text)
		if !ok {
			t.Fatalf("number %s", text)
		}
		return n
	}
	cuts := []string{"0", "0.000000000001", "10", "33.3", "50", "99.999", "100"}
	for i := range 5000 {
		id := fmt.Sprintf("user-%d", i)
		at := new(big.Rat).SetFrac(
			new(big.Int).Mul(new(big.Int).SetUint64(xxh3.HashString("exp\x00"+id)), big.NewInt(100)),
			new(big.Int).Lsh(big.NewInt(1), 64))
		for k := range len(cuts) - 1 {
			from, _ := new(big.Rat).SetString(cuts[k])
			to, _ := new(big.Rat).SetString(cuts[k+1])
			want := at.Cmp(from) >= 0 && at.Cmp(to) < 0
			if got := NewShare("exp", number(cuts[k]), number(cuts[k+1])).Has(id); got != want {
				t.Fatalf("%s in %s%% to %s%%: %v", id, cuts[k], cuts[k+1], got)
			}
		}
		if !NewShare("exp", number("0"), number("100")).Has(id) || NewShare("exp", number("7"), number("7")).Has(id) {
			t.Fatalf("%s: 0%% to 100%% must have every id, 7%% to 7%% none", id)
		}
	}
}
