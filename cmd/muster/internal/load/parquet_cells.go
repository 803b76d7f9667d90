package load

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// cellBuffer is how many values of a column are read from a page at a time.
const cellBuffer = 512

// cellReader reads one column of a row group, row by row. The columns of a file are read side by side and
// never assembled into rows: unwanted columns cost nothing, and values are not copied.
type cellReader struct {
	pages      parquet.Pages
	page       parquet.Page // the page that values reads
	values     parquet.ValueReader
	buffer     []parquet.Value
	at, n      int             // buffer[at:n] has not been returned yet
	listValues []parquet.Value // copies of the values of a list that continues in the next buffer
	row        []parquet.Value // the values of the current row, valid until next
}

// open starts reading the column of another row group.
func (r *cellReader) open(chunk parquet.ColumnChunk) error {
	err := r.close()
	if r.buffer == nil {
		r.buffer = make([]parquet.Value, cellBuffer)
	}
	r.pages = chunk.Pages()
	return err
}

// close releases the memory of the page.
func (r *cellReader) close() error {
	r.releasePage()
	r.at, r.n, r.row = 0, 0, nil
	if r.pages == nil {
		return nil
	}
	err := r.pages.Close()
	r.pages = nil
	return err
}

func (r *cellReader) releasePage() {
	if r.page != nil {
		parquet.Release(r.page)
	}
	r.page, r.values = nil, nil
}

// next sets row to the values of the next row: one value, or all values of its list. It returns io.EOF
// when there is no further row.
func (r *cellReader) next(isList bool) error {
	if isList {
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

// nextList sets row to all values up to the first value of the row after it. A list may continue in the
// next buffer, which may be of another page; then the earlier values are copied.
func (r *cellReader) nextList() error {
	r.listValues = r.listValues[:0]
	for {
		if r.at == r.n {
			err := r.fill()
			if err == io.EOF && len(r.listValues) > 0 {
				r.row = r.listValues
				return nil
			}
			if err != nil {
				return err
			}
		}
		end := r.at
		if len(r.listValues) == 0 {
			end++ // the first value of the row
		}
		for end < r.n && r.buffer[end].RepetitionLevel() > 0 {
			end++
		}
		values := r.buffer[r.at:end]
		r.at = end
		if end < r.n && len(r.listValues) == 0 {
			r.row = values
			return nil
		}
		for i := range values {
			r.listValues = append(r.listValues, values[i].Clone())
		}
		if end < r.n {
			r.row = r.listValues
			return nil
		}
	}
}

// fill reads at least one value into the buffer, or returns io.EOF.
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
			r.releasePage()
		}
		page, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page, r.values = page, page.Values()
	}
}
