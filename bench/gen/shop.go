package gen

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Config says how large a shop is. Equal Configs make equal shops.
type Config struct {
	Users  int
	Events int
	Seed   uint64
	End    time.Time // of the last event
	Days   int       // number of days with events; 90 by default
}

// Validate reports all faults and sets the defaults.
func (c *Config) Validate() error {
	var faults []error
	if c.Users < 1 || c.Users > 1<<32 {
		faults = append(faults, fmt.Errorf("users %d: want 1 to %d", c.Users, 1<<32))
	}
	if c.Events < 0 {
		faults = append(faults, fmt.Errorf("events %d: want 0 or more", c.Events))
	}
	if c.Days == 0 {
		c.Days = 90
	}
	if c.Days < 1 {
		faults = append(faults, fmt.Errorf("days %d: want 1 or more", c.Days))
	}
	if c.End.IsZero() {
		faults = append(faults, errors.New("no end: set it, since equal configs must make equal shops"))
	}
	return errors.Join(faults...)
}

// Shop generates the profiles and events that a Config describes.
type Shop struct {
	config   Config
	country  []float64 // cumulative weights
	category []float64
	stride   uint64 // coprime to Users: spreads the busiest profiles over the ids
}

// New returns a shop.
func New(config Config) (*Shop, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Shop{config: config, country: zipf(len(countries), 1.0), category: zipf(len(categories), 0.8), stride: 2654435761}
	for gcd(s.stride, uint64(config.Users)) != 1 {
		s.stride++
	}
	return s, nil
}

func zipf(n int, s float64) []float64 {
	weights := make([]float64, n)
	sum := 0.0
	for i := range weights {
		sum += 1 / math.Pow(float64(i+1), s)
		weights[i] = sum
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// pick returns the first position whose cumulative weight is above u.
func pick(weights []float64, u float64) int {
	for i, w := range weights {
		if u < w {
			return i
		}
	}
	return len(weights) - 1
}

// Profile is one customer. Zero times and amounts mean unknown.
type Profile struct {
	Number     int
	Country    string
	Plan       string
	Age        int // 0: unknown
	LTVCents   int64
	SignedUpAt int64 // Unix ms
	OptIn      bool
	Platform   string
}

// Profile returns the customer with a number from 0. It does not depend on the other customers.
func (s *Shop) Profile(number int) Profile {
	r := rand.New(rand.NewPCG(s.config.Seed, uint64(number)*0x9e3779b97f4a7c15+1))
	p := Profile{Number: number, Country: countries[pick(s.country, r.Float64())], Platform: platforms[r.IntN(len(platforms))], OptIn: r.Float64() < 0.6}
	u := r.Float64()
	for _, plan := range plans {
		p.Plan = plan.name
		if u -= plan.weight; u < 0 {
			break
		}
	}
	if r.Float64() < 0.9 {
		p.Age = 18 + int(min(math.Abs(r.NormFloat64())*16, 62))
	}
	p.LTVCents = cents(r, 4.2, 1.3)
	p.SignedUpAt = s.config.End.UnixMilli() - int64(r.Float64()*float64(3*365*24*time.Hour/time.Millisecond))
	return p
}

// cents draws a log-normal amount in cents.
func cents(r *rand.Rand, mu, sigma float64) int64 {
	return int64(100 * min(math.Exp(mu+sigma*r.NormFloat64()), 1e7))
}

// Users returns the number of profiles.
func (s *Shop) Users() int { return s.config.Users }

// Rows returns the number of profiles and events.
func (s *Shop) Rows() int { return s.config.Users + s.config.Events }

// Profiles yields all customers in ascending order of number.
func (s *Shop) Profiles() iter.Seq[Profile] {
	return func(yield func(Profile) bool) {
		for i := range s.config.Users {
			if !yield(s.Profile(i)) {
				return
			}
		}
	}
}

// Event is an event of one customer. Category is "" and AmountCents 0 if the event is not priced.
type Event struct {
	User        int
	Name        string
	Time        int64 // Unix ms
	AmountCents int64
	Category    string
}

// Events yields all events in ascending order of time.
func (s *Shop) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		r := rand.New(rand.NewPCG(s.config.Seed, 0))
		span := float64(time.Duration(s.config.Days) * 24 * time.Hour / time.Millisecond)
		end := s.config.End.UnixMilli()
		n := float64(s.config.Events)
		for i := range s.config.Events {
			left := (n - float64(i) - r.Float64()) / n
			if !yield(s.Draw(r, end-int64(left*span))) {
				return
			}
		}
	}
}

// Draw returns one event at a time (Unix ms). The number of events per customer follows a power law: the
// busiest hundredth has about a fifth of all events.
func (s *Shop) Draw(r *rand.Rand, at int64) Event {
	u := r.Float64()
	rank := uint64(u * u * u * float64(s.config.Users))
	e := Event{User: int(rank * s.stride % uint64(s.config.Users)), Time: at}
	u = r.Float64()
	kind := &eventKinds[0]
	for i := range eventKinds {
		kind = &eventKinds[i]
		if u -= kind.share; u < 0 {
			break
		}
	}
	e.Name = kind.name
	if kind.priced {
		e.AmountCents = 1 + cents(r, 3.3, 1.0)
		e.Category = categories[pick(s.category, r.Float64())]
	}
	return e
}
