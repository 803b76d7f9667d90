package server

// turns lets so many goroutines decode at once as there are processors. All others wait here and not in
// the scheduler's queues, where whoever asks the node something would stand behind all of them.
type turns chan struct{}

func (t turns) take() { t <- struct{}{} }

func (t turns) give() { <-t }

// turnLines is how many lines of a stream are decoded in one turn: a fraction of a millisecond.
const turnLines = 128
