package widgets

import (
	"strings"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
)

// Measures of a bubble and its surroundings, in the toolkit's units.
const (
	sideMargin  = 20
	bubblePadX  = 13
	bubblePadY  = 8
	bubbleMax   = 560
	bubbleMin   = 54
	avatarRoom  = 42
	avatarSize  = 32
	metaGap     = 10
	stateSize   = 14
	runGap      = 2 // between bubbles of a run
	turnGap     = 10
	smallCorner = 5
	dayHeight   = 24
	dayMargin   = 14
	problemGap  = 4
	menuSize    = 28  // of the place for the dots beside a bubble
	menuPad     = 5   // around the dots in it
	longLine    = 160 // runes beyond which a line certainly wraps
)

// messagePlan is the layout of a row at a width.
type messagePlan struct {
	width, height        float32
	bubble, name, text   rect
	time, state, problem rect
	avatar, menu         rect
}

type rect struct{ x, y, w, h float32 }

func (r rect) contains(p fyne.Position) bool {
	return p.X >= r.x && p.X < r.x+r.w && p.Y >= r.y && p.Y < r.y+r.h
}

func (r rect) apply(o fyne.CanvasObject) {
	o.Resize(fyne.NewSize(r.w, r.h))
	o.Move(fyne.NewPos(r.x, r.y))
}

// layout makes the plan for a width, unless that is the plan there is.
func (m *MessageRow) layout(width float32) {
	if m.plan.width == width {
		return
	}
	p := messagePlan{width: width}
	y := m.day.heightFor(m.model.Day)
	if m.model.First && m.model.Day == "" {
		y += turnGap
	} else if !m.model.First {
		y += runGap
	}
	left := float32(sideMargin)
	if m.model.Avatars && !m.mine {
		left += avatarRoom
	}
	most := min(bubbleMax, width-left-sideMargin-min(width*0.12, 72))
	inner := max(most-2*bubblePadX, 40)

	meta := m.metaWidth()
	textSize, fits := m.measureText(inner)
	inline := fits && textSize.Width+metaGap+meta <= inner && !strings.Contains(m.model.Text, "\n")
	innerWidth := max(textSize.Width, meta)
	if inline {
		innerWidth = textSize.Width + metaGap + meta
	}
	var nameHeight float32
	if m.model.ShowName {
		nameHeight = m.name.MinSize().Height + 1
		innerWidth = max(innerWidth, min(m.name.natural()+1, inner))
	}
	innerWidth = max(innerWidth, bubbleMin-2*bubblePadX)
	metaHeight := m.time.MinSize().Height
	height := bubblePadY*2 + nameHeight + textSize.Height
	if !inline {
		height += metaHeight + 1
	}
	p.bubble = rect{left, y, innerWidth + 2*bubblePadX, height}
	if m.mine {
		p.bubble.x = width - sideMargin - p.bubble.w
	}
	x, top := p.bubble.x+bubblePadX, p.bubble.y+bubblePadY
	p.name = rect{x, top, innerWidth, nameHeight}
	p.text = rect{x, top + nameHeight, textSize.Width, textSize.Height}
	p.layoutMeta(x+innerWidth, p.bubble.y+height-bubblePadY-metaHeight+2, m.time.natural(), metaHeight, m.model.Delivery != DeliveryNone)
	p.avatar = rect{sideMargin, p.bubble.y + height - avatarSize, avatarSize, avatarSize}
	p.height = p.bubble.y + height
	if !m.mine {
		p.menu = rect{p.bubble.x + p.bubble.w + 6, p.bubble.y + (min(height, 44)-menuSize)/2, menuSize, menuSize}
	}
	if m.model.Delivery == DeliveryFailed {
		h := m.problem.MinSize().Height
		p.problem = rect{sideMargin, p.height + problemGap, width - 2*sideMargin, h}
		p.height += problemGap + h
	}
	m.plan = p
}

// layoutMeta puts the time, and the delivery mark if there is one, to the left of right.
func (p *messagePlan) layoutMeta(right, y, timeWidth, height float32, mark bool) {
	if mark {
		right -= stateSize
		p.state = rect{right, y + (height-stateSize)/2, stateSize, stateSize}
		right -= 4
	}
	p.time = rect{right - timeWidth, y, timeWidth, height}
}

func (m *MessageRow) metaWidth() float32 {
	w := m.time.natural()
	if m.model.Delivery != DeliveryNone {
		w += stateSize + 4
	}
	return w
}

// measureText is the size of the text within a width, and whether no line had
// to be wrapped for it.
func (m *MessageRow) measureText(width float32) (fyne.Size, bool) {
	size := m.Theme().Size(fynetheme.SizeNameText)
	var natural float32
	for line := range strings.SplitSeq(m.model.Text, "\n") {
		if len(line) > longLine*4 || len([]rune(line)) > longLine {
			natural = width + 1
			break
		}
		natural = max(natural, fyne.MeasureText(line, size, fyne.TextStyle{}).Width)
	}
	fits := natural <= width
	wrap := fyne.TextWrapWord
	if fits {
		width, wrap = natural, fyne.TextWrapOff
	}
	m.text.Resize(fyne.NewSize(width, m.text.Size().Height))
	if m.text.Wrapping != wrap {
		m.text.Wrapping = wrap
		m.text.Refresh()
	}
	return fyne.NewSize(width, m.text.MinSize().Height), fits
}
