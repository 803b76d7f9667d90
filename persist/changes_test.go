package persist

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
)

// TestChanges checks that blocks are read back as written and in order, also after the database was
// reopened, and that Drop and Cut remove the right ones.
func TestChanges(t *testing.T) {
	data := t.TempDir()
	db, err := OpenDB(smallDB(DBDir(data)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewChanges(db, "shard-000")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewChanges(db, "shard-0001")
	if err != nil {
		t.Fatal(err)
	}
	block := func(i int) []byte { return bytes.Repeat([]byte(fmt.Sprint("block ", i, " ")), 100*i) }
	for i := range 20 {
		if err := c.Write(uint64(10+i/2), i%2*700, block(i+1)); err != nil {
			t.Fatal(err)
		}
		if err := other.Write(uint64(i), 0, block(1)); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := c.State(); err != nil || state != nil {
		t.Errorf("state %q, %v", state, err)
	}
	if err := c.Drop(11, 700); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit([]byte("so far")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if problems, err := Check(context.Background(), data, nil, nil); err != nil || len(problems) > 0 {
		t.Errorf("check: %v, %v", problems, err)
	}
	if db, err = OpenDB(smallDB(DBDir(data))); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if c, err = NewChanges(db, "shard-000"); err != nil {
		t.Fatal(err)
	}
	if state, err := c.State(); err != nil || string(state) != "so far" {
		t.Errorf("state %q, %v", state, err)
	}
	if err := c.Cut(18); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = c.Blocks(func(seq uint64, n, size int) error {
		data, err := c.Read(seq, n)
		if err != nil {
			return err
		}
		if want := block(int(seq-10)*2 + n/700 + 1); !bytes.Equal(data, want) || size <= 0 {
			t.Errorf("block %d.%d of %d bytes is %d bytes, want %d", seq, n, size, len(data), len(want))
		}
		got = append(got, fmt.Sprint(seq, ".", n))
		return nil
	})
	if err != nil || len(got) != 15 || got[0] != "11.700" || got[14] != "18.700" || !slices.IsSorted(got) {
		t.Errorf("blocks %v, %v", got, err)
	}
	if data, err := c.Read(99, 0); err != nil || data != nil {
		t.Errorf("nothing is %q, %v", data, err)
	}
}

// TestTable checks that values are read back by name, and that those put as nil are gone.
func TestTable(t *testing.T) {
	db, err := OpenDB(smallDB(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table, err := NewTable(db, "consumers")
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Put(map[string][]byte{"b": []byte("2"), "a": []byte("1"), "a/longer": {}, "c": []byte("3")}); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(map[string][]byte{"b": nil, "a": []byte("4"), "never": nil}); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = table.All(func(key string, value []byte) error {
		got = append(got, key+"="+string(value))
		return nil
	})
	if want := []string{"a=4", "a/longer=", "c=3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if err := table.Put(map[string][]byte{"": []byte("x")}); err == nil {
		t.Error("an empty key was accepted")
	}
}
