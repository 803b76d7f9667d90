package load

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// cellBuffer is how many values of a column are taken from a page at once.
const cellBuffer = 512

// cellReader reads one column of a row group row by row. Columns are read beside each other and not put
// together to rows, so that nothing is done for those that nobody wants, and a value is not copied.
type cellReader struct {
	pages  parquet.Pages
	page   parquet.Page // that values come from
	values parquet.ValueReader
	buffer []parquet.Value
	at, n  int             // the values of buffer not yet taken are [at, n)
	kept   []parquet.Value // of a list that goes on in the next buffer
	row    []parquet.Value // of the current row, valid until next
}

// open begins with a column of another row group.
func (r *cellReader) open(chunk parquet.ColumnChunk) error {
	err := r.close()
	if r.buffer == nil {
		r.buffer = make([]parquet.Value, cellBuffer)
	}
	r.pages = chunk.Pages()
	return err
}

// close gives the memory of the page back.
func (r *cellReader) close() error {
	r.letGo()
	r.at, r.n, r.row = 0, 0, nil
	if r.pages == nil {
		return nil
	}
	err := r.pages.Close()
	r.pages = nil
	return err
}

func (r *cellReader) letGo() {
	if r.page != nil {
		parquet.Release(r.page)
	}
	r.page, r.values = nil, nil
}

// next makes the values of the next row the current ones: one, or as many as its list has. It returns
// io.EOF when there is no row.
func (r *cellReader) next(list bool) error {
	if list {
		return r.nextList()
	}
	if r.at == r.n {
		if err := r.fill(); err != nil {
			return err
		}
	}
	r.row = r.buffer[r.at : r.at+1]
	r.at++
	return nil
}

// nextList takes values up to the next that begins a row. A list may go on in another page, and then
// what came before is copied out of its memory.
func (r *cellReader) nextList() error {
	r.kept = r.kept[:0]
	for {
		if r.at == r.n {
			err := r.fill()
			if err == io.EOF && len(r.kept) > 0 {
				r.row = r.kept
				return nil
			}
			if err != nil {
				return err
			}
		}
		end := r.at
		if len(r.kept) == 0 {
			end++ // what begins the row
		}
		for end < r.n && r.buffer[end].RepetitionLevel() > 0 {
			end++
		}
		values := r.buffer[r.at:end]
		r.at = end
		if end < r.n && len(r.kept) == 0 {
			r.row = values
			return nil
		}
		for i := range values {
			r.kept = append(r.kept, values[i].Clone())
		}
		if end < r.n {
			r.row = r.kept
			return nil
		}
	}
}

// fill takes further values, at least one, or returns io.EOF.
func (r *cellReader) fill() error {
	for {
		if r.values != nil {
			n, err := r.values.ReadValues(r.buffer)
			if err != nil && err != io.EOF {
				return err
			}
			if r.at, r.n = 0, n; n > 0 {
				return nil
			}
			r.letGo()
		}
		page, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page, r.values = page, page.Values()
	}
}
