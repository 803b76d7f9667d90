package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"
)

// CompareConfig says which questions to ask of which subjects.
type CompareConfig struct {
	Size     Size
	Seed     uint64
	Repeat   int // at least this many timings of a question, of which the median counts; 7 by default
	Subjects []Subject
	Touched  func(Question) int64             // bytes a question must read, called when the first subject is loaded; may be nil
	Profile  string                           // directory for processor profiles of the first subject, one per question; "" for none
	Log      func(format string, args ...any) // may be nil
}

// Validate reports all faults and sets the defaults.
func (c *CompareConfig) Validate() error {
	var faults []error
	if c.Size.Users < 1 {
		faults = append(faults, errors.New("no size"))
	}
	if len(c.Subjects) == 0 {
		faults = append(faults, errors.New("no subject"))
	}
	if c.Repeat < 0 {
		faults = append(faults, fmt.Errorf("repeat %d: want 1 or more", c.Repeat))
	}
	if c.Repeat == 0 {
		c.Repeat = 7
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return errors.Join(faults...)
}

// Comparison is the answers and times of all subjects for all questions.
type Comparison struct {
	Size     Size          `json:"size"`
	Seed     uint64        `json:"seed"`
	Repeat   int           `json:"repeat"`
	Subjects []SubjectInfo `json:"subjects"` // the first is compared with the others
	Rows     []Compared    `json:"questions"`
	// GeoMean is the geometric mean of the ratios; 0 without peers.
	GeoMean float64 `json:"geometric_mean,omitempty"`
	// ProcessorGeoMean is the geometric mean of the ratios of processor time.
	ProcessorGeoMean float64 `json:"processor_geometric_mean,omitempty"`
}

// SubjectInfo is the cost of loading a subject.
type SubjectInfo struct {
	Name        string  `json:"name"`
	LoadSeconds float64 `json:"load_seconds"`
	Memory      []Bytes `json:"memory"`
}

// Compared is one question and the time of each subject.
type Compared struct {
	Name    string   `json:"name"`
	MQL     string   `json:"mql"`
	Answer  string   `json:"answer"`
	Timings []Timing `json:"timings"` // in the order of the subjects
	// Ratio is the time of the fastest peer ÷ the time of the first subject; 0 without peers.
	Ratio float64 `json:"ratio,omitempty"`
	// RatioOfMinima is the ratio of the shortest times, which is less affected by other load on the machine.
	RatioOfMinima float64 `json:"ratio_of_minima,omitempty"`
	// ProcessorRatio is the smallest processor time of a peer ÷ that of the first subject, of medians.
	ProcessorRatio float64 `json:"processor_ratio,omitempty"`
	Goal           float64 `json:"goal"`
	// Touched is the number of bytes the question must read; LimitMillis the time to read them at the measured
	// bandwidth; Distance the time of the first subject ÷ LimitMillis.
	Touched     int64   `json:"touched_bytes,omitempty"`
	LimitMillis float64 `json:"limit_ms,omitempty"`
	Distance    float64 `json:"distance,omitempty"`
}

// Timing is the times of one subject for one question, in ms.
type Timing struct {
	Median float64 `json:"median_ms"`
	Min    float64 `json:"min_ms"`
	Max    float64 `json:"max_ms"`
	// Processor is the median of the processor time of all cores together.
	Processor float64 `json:"processor_ms"`
	Runs      int     `json:"runs"`
	answer    Answer
}

// ErrAnswers is the error of a comparison whose subjects give different answers.
var ErrAnswers = errors.New("answers differ")

// Compare loads the same shop into one subject after another, asks all questions, and closes the subject, so
// that no two share the machine. If any answers differ, it returns no times.
func Compare(ctx context.Context, c CompareConfig, bandwidth float64) (*Comparison, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	questions := Questions()
	result := &Comparison{Size: c.Size, Seed: c.Seed, Repeat: c.Repeat, Rows: make([]Compared, len(questions))}
	for i, q := range questions {
		result.Rows[i] = Compared{Name: q.Name, MQL: q.MQL, Goal: q.Goal}
	}
	for at, subject := range c.Subjects {
		info, err := c.measure(ctx, subject, result.Rows, at == 0)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", subject.Name(), err)
		}
		result.Subjects = append(result.Subjects, info)
	}
	if err := agree(result); err != nil {
		return nil, err
	}
	result.rate(bandwidth)
	return result, nil
}

// measure loads one subject and adds its timings.
func (c *CompareConfig) measure(ctx context.Context, s Subject, rows []Compared, first bool) (info SubjectInfo, err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	shop, err := c.Size.Shop(c.Seed)
	if err != nil {
		return info, err
	}
	c.Log("%s: loading %d profiles and %d events", s.Name(), c.Size.Users, c.Size.Events)
	if m, ok := s.(*Muster); ok {
		m.tell = c.Log
	}
	started := time.Now()
	if err := s.Load(ctx, shop); err != nil {
		return info, fmt.Errorf("load: %w", err)
	}
	info = SubjectInfo{Name: s.Name(), LoadSeconds: time.Since(started).Seconds()}
	c.Log("%s: loaded in %.1f s", s.Name(), info.LoadSeconds)
	if m, ok := s.(*Muster); ok {
		if err := m.audit(ctx, shop); err != nil {
			return info, err
		}
	}
	if info.Memory, err = s.Memory(ctx); err != nil {
		return info, err
	}
	runtime.GC()
	for i, q := range Questions() {
		timing, err := c.time(ctx, s, q)
		if err != nil {
			return info, err
		}
		rows[i].Timings = append(rows[i].Timings, timing)
		if first && c.Touched != nil {
			rows[i].Touched = c.Touched(q)
		}
		if first && c.Profile != "" {
			if err := profile(ctx, s, q, filepath.Join(c.Profile, fmt.Sprintf("%02d.pprof", i+1))); err != nil {
				return info, err
			}
		}
	}
	return info, nil
}

const (
	warmRuns = 2
	// A question that takes less than a millisecond is asked more often than Repeat, for quickTime: seven such
	// times would mostly measure the machine's timers and its other load.
	quickTime = 100 * time.Millisecond
	quickRuns = 201
)

// time asks a question until the subject is warm, and then measures it repeatedly.
func (c *CompareConfig) time(ctx context.Context, s Subject, q Question) (Timing, error) {
	var t Timing
	var times, processor []float64
	started := time.Now()
	for run := -warmRuns; run < c.Repeat || run < quickRuns && time.Since(started) < quickTime; run++ {
		answer, cost, err := s.Ask(ctx, q)
		if err != nil {
			return t, err
		}
		switch diff := answer.Differ(t.answer); {
		case t.answer == nil:
			t.answer = answer
		case diff != "":
			return t, fmt.Errorf("%w between two runs of %s: %s", ErrAnswers, q.Name, diff)
		}
		if run == 0 {
			started = time.Now()
		}
		if run >= 0 {
			times, processor = append(times, millis(cost.Wall)), append(processor, millis(cost.Processor))
		}
	}
	slices.Sort(times)
	t.Median, t.Min, t.Max, t.Runs = times[len(times)/2], times[0], times[len(times)-1], len(times)
	t.Processor = median(processor)
	return t, nil
}

// A question is repeated for its profile until it has used this much processor time, since samples are rare on
// a busy machine. It ends after profileWall in any case.
const (
	profileTime = 2 * time.Second
	profileWall = 20 * time.Second
)

// profile writes a processor profile of one question.
func profile(ctx context.Context, s Subject, q Question, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("profile %q: %w", q.Name, err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(fmt.Errorf("profile %q: %w", q.Name, err), out.Close())
	}
	for watch := StartStopwatch(); err == nil; {
		if cost := watch.Stop(); cost.Processor >= profileTime || cost.Wall >= profileWall {
			break
		}
		_, _, err = s.Ask(ctx, q)
	}
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

// agree compares all answers to a question with the first.
func agree(c *Comparison) error {
	var faults []error
	for i := range c.Rows {
		row := &c.Rows[i]
		row.Answer = row.Timings[0].answer.Short()
		for at, t := range row.Timings[1:] {
			if diff := row.Timings[0].answer.Differ(t.answer); diff != "" {
				faults = append(faults, fmt.Errorf("%w: %s: %s and %s: %s", ErrAnswers, row.Name, c.Subjects[0].Name, c.Subjects[at+1].Name, diff))
			}
		}
	}
	return errors.Join(faults...)
}

// rate computes ratios and distances. bandwidth is in bytes per second, 0 if unknown.
func (c *Comparison) rate(bandwidth float64) {
	logs, processorLogs := 0.0, 0.0
	for i := range c.Rows {
		row := &c.Rows[i]
		own := row.Timings[0].Median
		if peers := row.Timings[1:]; len(peers) > 0 {
			best, least, processor := math.Inf(1), math.Inf(1), math.Inf(1)
			for _, t := range peers {
				best, least, processor = min(best, t.Median), min(least, t.Min), min(processor, t.Processor)
			}
			row.Ratio, row.RatioOfMinima = best/own, least/row.Timings[0].Min
			if used := row.Timings[0].Processor; used > 0 {
				row.ProcessorRatio = processor / used
				processorLogs += math.Log(row.ProcessorRatio)
			}
			logs += math.Log(row.Ratio)
		}
		if bandwidth > 0 && row.Touched > 0 {
			row.LimitMillis = float64(row.Touched) / bandwidth * 1000
			row.Distance = own / row.LimitMillis
		}
	}
	if len(c.Subjects) > 1 {
		c.GeoMean = math.Exp(logs / float64(len(c.Rows)))
		c.ProcessorGeoMean = math.Exp(processorLogs / float64(len(c.Rows)))
	}
}
