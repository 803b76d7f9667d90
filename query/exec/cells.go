package exec

// cellTable holds the cells of a statement over time, by number of the bucket and of the group of
// dimensions. Small numbers, which most statements have, are found through an array.
type cellTable struct {
	cells []bucketCell
	dense [][]int32 // by bucket, then group: 1 + index in cells; 0: no cell
	rest  map[uint64]int32
}

// bucketCell is the cell of one bucket and group.
type bucketCell struct {
	bucket, group int32
	Cell
}

// maxDense is how many bucket numbers, and how many group numbers, are found through an array.
const maxDense = 1024

// at returns a cell, valid until the next call, and whether it is new.
func (t *cellTable) at(bucket, group int32) (cell *Cell, made bool) {
	var place *int32
	if bucket < maxDense && group < maxDense {
		for int(bucket) >= len(t.dense) {
			t.dense = append(t.dense, nil)
		}
		if n := len(t.dense[bucket]); int(group) >= n {
			t.dense[bucket] = append(t.dense[bucket], make([]int32, int(group)+1-n)...)
		}
		place = &t.dense[bucket][group]
		if *place > 0 {
			return &t.cells[*place-1].Cell, false
		}
	} else if i, known := t.rest[uint64(bucket)<<32|uint64(group)]; known {
		return &t.cells[i].Cell, false
	}
	t.cells = append(t.cells, bucketCell{bucket: bucket, group: group})
	if place != nil {
		*place = int32(len(t.cells))
	} else {
		if t.rest == nil {
			t.rest = map[uint64]int32{}
		}
		t.rest[uint64(bucket)<<32|uint64(group)] = int32(len(t.cells) - 1)
	}
	return &t.cells[len(t.cells)-1].Cell, true
}
