package timeline

// geometry is where the viewport is: which row is the anchor and how far its
// top edge is below the top of the viewport. It knows heights only through a
// function that measures on demand, and no step of it looks at more rows than
// it moves over.
type geometry struct {
	count    int
	viewport float32
	padding  float32 // kept free above the first and below the last row
	height   func(i int) float32

	anchor int
	offset float32
	// stick holds the bottom of the last row to the bottom of the viewport.
	stick bool
}

// span is a run of rows laid out: rows first to last, of which the first begins
// at top. It is empty where last < first.
type span struct {
	first, last int
	top         float32
}

// settle makes the position a valid one and returns the rows that show: no gap
// between the rows and either edge unless all rows fit.
func (g *geometry) settle() span {
	if g.count == 0 {
		g.anchor, g.offset, g.stick = 0, 0, true
		return span{0, -1, 0}
	}
	g.anchor = min(max(g.anchor, 0), g.count-1)
	if g.stick {
		g.anchor = g.count - 1
		g.offset = g.viewport - g.padding - g.height(g.anchor)
	}
	g.climb()
	bottom := g.descend()
	if limit := g.viewport - g.padding; bottom < limit { // a gap below the last row
		g.offset += limit - bottom
		g.climb()
	}
	if g.anchor == 0 && g.offset > g.padding { // a gap above the first row
		g.offset = g.padding
		if total := g.totalUpTo(g.viewport - 2*g.padding); total < g.viewport-2*g.padding {
			g.offset = g.viewport - g.padding - total
		}
	}
	return g.visible()
}

// climb moves the anchor up until nothing below the top of the viewport is
// above it.
func (g *geometry) climb() {
	for g.offset > 0 && g.anchor > 0 {
		g.anchor--
		g.offset -= g.height(g.anchor)
	}
}

// descend moves the anchor down to the first row that shows and returns where
// the rows end, or the bottom of the viewport if they reach it.
func (g *geometry) descend() float32 {
	for g.anchor < g.count-1 {
		h := g.height(g.anchor)
		if g.offset+h > 0 {
			break
		}
		g.anchor++
		g.offset += h
	}
	y := g.offset
	for i := g.anchor; i < g.count; i++ {
		if y >= g.viewport {
			return g.viewport
		}
		y += g.height(i)
	}
	return y
}

// totalUpTo sums the heights from the first row, stopping once past limit.
func (g *geometry) totalUpTo(limit float32) float32 {
	var total float32
	for i := 0; i < g.count && total < limit; i++ {
		total += g.height(i)
	}
	return total
}

func (g *geometry) visible() span {
	s := span{first: g.anchor, last: g.anchor - 1, top: g.offset}
	for y := g.offset; s.last+1 < g.count && (y < g.viewport || s.last < s.first); {
		s.last++
		y += g.height(s.last)
	}
	return s
}

// scroll moves the content down by dy; a negative dy shows newer rows.
func (g *geometry) scroll(dy float32) {
	if g.count == 0 {
		return
	}
	g.stick = false
	g.offset += dy
	g.settle()
	g.stick = g.atBottom()
}

// atBottom says whether the last row's end shows.
func (g *geometry) atBottom() bool {
	y := g.offset
	for i := g.anchor; i < g.count; i++ {
		if y > g.viewport {
			return false
		}
		y += g.height(i)
	}
	return y <= g.viewport-g.padding+1
}

// jump puts the top of a row at the top of the viewport.
func (g *geometry) jump(row int, offset float32) {
	g.anchor, g.offset, g.stick = row, offset, false
	g.settle()
	g.stick = g.atBottom()
}

func (g *geometry) inserted(at, n int) {
	g.count += n
	if at <= g.anchor && g.count > n {
		g.anchor += n
	}
}

func (g *geometry) removed(at, n int) {
	g.count -= n
	switch {
	case at+n <= g.anchor:
		g.anchor -= n
	case at <= g.anchor: // the anchor itself is gone: what follows takes its place
		g.anchor = at
	}
}

// progress is how far down the viewport is, by rows: 0 at the first, 1 where
// the last is at the bottom.
func (g *geometry) progress() float32 {
	if g.count < 2 || g.stick {
		return 1
	}
	h := g.height(g.anchor)
	var part float32
	if h > 0 {
		part = min(max(-g.offset/h, 0), 1)
	}
	return min((float32(g.anchor)+part)/float32(g.count), 1)
}
