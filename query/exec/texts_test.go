package exec_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/querytest"
)

// A text is parsed once, and checked once per catalog.
func TestTexts(t *testing.T) {
	var texts exec.Texts
	first, second := querytest.NewSchema(shop(1)), querytest.NewSchema(shop(2))
	const text = "count where did Order where (amount > 1) by plan"
	parsed, err := texts.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := texts.Parse(text)
	if err != nil || again != parsed {
		t.Error("parsed twice", err)
	}
	one, err := texts.Check(parsed, first)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Properties) != 1 || one.Properties[0].Event != "Order" || one.Properties[0].Name.Name != "amount" {
		t.Errorf("properties %v", one.Properties)
	}
	if same, err := texts.Check(again, first); err != nil || same != one {
		t.Error("checked twice against one catalog", err)
	}
	two, err := texts.Check(parsed, second)
	if err != nil || two == one {
		t.Error("not checked against the next catalog", err)
	}
	for _, wrong := range []string{"count where", `count where in segment "none"`} {
		for range 2 {
			bad, err := texts.Parse(wrong)
			if err == nil {
				_, err = texts.Check(bad, second)
			}
			if err == nil {
				t.Errorf("%s: no error", wrong)
			}
		}
	}
}

// Only recent texts are kept, including old ones that are still used.
func TestTextsAreBounded(t *testing.T) {
	var texts exec.Texts
	parse := func(text string) *exec.Text {
		parsed, err := texts.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	often, seldom := parse("count"), parse("list")
	for i := range 2000 {
		parse(fmt.Sprintf("count where ltv > %d", i))
		if parse("count") != often {
			t.Fatalf("a text that is still used is forgotten after %d others", i)
		}
	}
	if parse("list") == seldom {
		t.Error("an unused text is kept forever")
	}
}

func TestTextsConcurrently(t *testing.T) {
	var texts exec.Texts
	schema := querytest.NewSchema(shop(1))
	var all sync.WaitGroup
	for k := range 4 {
		all.Go(func() {
			for i := range 600 {
				parsed, err := texts.Parse(fmt.Sprintf("count where ltv > %d", (i+k*100)%400))
				if err == nil {
					_, err = texts.Check(parsed, schema)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
