// Package metrics counts what happens, in plain numbers that somebody else
// may publish: it speaks no protocol and links no library, so that a server
// inside a desktop app carries none.
//
// A figure may have labels, whose values must come from a fixed list such as
// the methods of the protocol: never a name, an id or an address. A mistake
// in that cannot fill the memory, since a figure has at most maxSeries series;
// what comes after is counted under "other".
//
// All methods are safe for concurrent use.
package metrics

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// maxLabels and maxSeries bound a figure.
const (
	maxLabels = 2
	maxSeries = 2000
)

// Kind says how a figure moves.
type Kind uint8

// The kinds: one that only grows, one of the moment, and a distribution.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

// Family is a figure with all its series, as it is now.
type Family struct {
	Name, Help string
	Kind       Kind
	Labels     []string
	Samples    []Sample
}

// Sample is one series of a Family.
type Sample struct {
	// Values are of the Family's labels, in order.
	Values []string
	// Value is a counter's or a gauge's.
	Value float64
	// Count, Sum and Buckets are a histogram's; Buckets gives for each bound how
	// many were at most that.
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// Set is a collection of figures. The zero Set is empty and ready.
type Set struct {
	mu       sync.Mutex
	families []func() Family
	names    []string
}

func (s *Set) add(name string, labels []string, gather func() Family) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(labels) > maxLabels || slices.Contains(s.names, name) {
		panic(fmt.Sprintf("metrics: %s has too many labels, or is there twice", name))
	}
	s.names = append(s.names, name)
	s.families = append(s.families, gather)
}

// Gather gives every figure as it is now.
func (s *Set) Gather() []Family {
	s.mu.Lock()
	families := slices.Clone(s.families)
	s.mu.Unlock()
	all := make([]Family, len(families))
	for i, gather := range families {
		all[i] = gather()
	}
	return all
}

// Func adds figures of a kind that are looked up when they are asked for: look
// gives a value for each value of label, which is "" where there is but one.
func (s *Set) Func(kind Kind, name, help, label string, look func() map[string]float64) {
	f := Family{Name: name, Help: help, Kind: kind}
	if label != "" {
		f.Labels = []string{label}
	}
	s.add(name, f.Labels, func() Family {
		f := f
		for value, number := range look() {
			sample := Sample{Value: number}
			if label != "" {
				sample.Values = []string{value}
			}
			f.Samples = append(f.Samples, sample)
		}
		sort(f.Samples)
		return f
	})
}

// Value adds a figure without labels that is looked up when it is asked for.
func (s *Set) Value(kind Kind, name, help string, look func() float64) {
	s.Func(kind, name, help, "", func() map[string]float64 { return map[string]float64{"": look()} })
}

// labels are the values of a series; those that a figure does not have are "".
type labels [maxLabels]string

// series keeps something for each combination of label values.
type series[T any] struct {
	count  int // of labels
	create func() *T

	mu  sync.RWMutex
	all map[labels]*T
}

func (s *series[T]) of(values []string) *T {
	if len(values) != s.count {
		panic(fmt.Sprintf("metrics: %d label values for %d labels", len(values), s.count))
	}
	var key labels
	copy(key[:], values)
	s.mu.RLock()
	item := s.all[key]
	s.mu.RUnlock()
	if item != nil {
		return item
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSeries && s.all[key] == nil {
		for i := range s.count {
			key[i] = "other"
		}
	}
	if s.all[key] == nil {
		s.all[key] = s.create()
	}
	return s.all[key]
}

// gather makes a sample of each.
func (s *series[T]) gather(sample func(*T) Sample) []Sample {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var samples []Sample
	for key, item := range s.all {
		one := sample(item)
		one.Values = slices.Clone(key[:s.count])
		samples = append(samples, one)
	}
	sort(samples)
	return samples
}

func sort(samples []Sample) {
	slices.SortFunc(samples, func(a, b Sample) int { return slices.Compare(a.Values, b.Values) })
}

// CounterOf is a figure that only grows.
type CounterOf struct{ series series[atomic.Uint64] }

// Counter adds a figure that only grows.
func (s *Set) Counter(name, help string, labelNames ...string) *CounterOf {
	c := &CounterOf{series[atomic.Uint64]{
		count: len(labelNames), create: func() *atomic.Uint64 { return new(atomic.Uint64) }, all: map[labels]*atomic.Uint64{},
	}}
	if len(labelNames) == 0 {
		c.Add(0) // there from the start
	}
	s.add(name, labelNames, func() Family {
		return Family{Name: name, Help: help, Kind: Counter, Labels: labelNames, Samples: c.series.gather(func(v *atomic.Uint64) Sample {
			return Sample{Value: float64(v.Load())}
		})}
	})
	return c
}

// Add adds n to the series of these label values.
func (c *CounterOf) Add(n int, values ...string) { c.series.of(values).Add(uint64(max(n, 0))) }

// HistogramOf is a distribution.
type HistogramOf struct {
	bounds []float64
	series series[distribution]
}

type distribution struct {
	counts []atomic.Uint64 // one for each bound, and one above
	sum    atomic.Uint64   // the bits of a float64
}

// Histogram adds a distribution over buckets with these upper bounds, in order.
func (s *Set) Histogram(name, help string, bounds []float64, labelNames ...string) *HistogramOf {
	h := &HistogramOf{bounds: bounds, series: series[distribution]{
		count: len(labelNames), create: func() *distribution { return &distribution{counts: make([]atomic.Uint64, len(bounds)+1)} }, all: map[labels]*distribution{},
	}}
	s.add(name, labelNames, func() Family {
		return Family{Name: name, Help: help, Kind: Histogram, Labels: labelNames, Samples: h.series.gather(h.sample)}
	})
	return h
}

func (h *HistogramOf) sample(d *distribution) Sample {
	s := Sample{Buckets: make(map[float64]uint64, len(h.bounds)), Sum: math.Float64frombits(d.sum.Load())}
	for i, bound := range h.bounds {
		s.Count += d.counts[i].Load()
		s.Buckets[bound] = s.Count
	}
	s.Count += d.counts[len(h.bounds)].Load()
	return s
}

// Observe adds a value to the series of these label values.
func (h *HistogramOf) Observe(value float64, values ...string) {
	d := h.series.of(values)
	at, _ := slices.BinarySearch(h.bounds, value)
	d.counts[at].Add(1)
	for {
		old := d.sum.Load()
		if d.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+value)) {
			return
		}
	}
}
