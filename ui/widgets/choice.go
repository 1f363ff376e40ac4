package widgets

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/theme"
)

// Choice is a row of captions of which exactly one is chosen.
type Choice struct {
	widget.BaseWidget
	// OnChosen is called with the index when another one is chosen.
	OnChosen func(i int)

	chosen  int
	parts   []*Tappable
	lines   []*Line
	content *fyne.Container
}

// NewChoice makes a choice.
func NewChoice(chosen int, captions ...string) *Choice {
	c := &Choice{chosen: chosen}
	row := container.NewGridWithColumns(len(captions))
	for i, caption := range captions {
		line := NewLine(caption, theme.SizeSmall).Centered().Truncated()
		part := NewTappable(Inset(8, 8, line), func() { c.Choose(i) })
		part.Stroke = fynetheme.ColorNameInputBorder
		c.parts, c.lines = append(c.parts, part), append(c.lines, line)
		row.Add(part)
	}
	c.content = row
	c.ExtendBaseWidget(c)
	c.paint()
	return c
}

// Chosen is the index of the one that is chosen.
func (c *Choice) Chosen() int { return c.chosen }

// Choose chooses another one.
func (c *Choice) Choose(i int) {
	if i == c.chosen {
		return
	}
	c.chosen = i
	c.paint()
	if c.OnChosen != nil {
		c.OnChosen(i)
	}
}

func (c *Choice) paint() {
	for i, part := range c.parts {
		part.Fill, part.HoverFill, part.Stroke = theme.Transparent, theme.ColorRowHover, fynetheme.ColorNameInputBorder
		c.lines[i].Style.Bold = i == c.chosen
		if i == c.chosen {
			part.Fill, part.HoverFill, part.Stroke = theme.ColorRowSelected, theme.ColorRowSelected, fynetheme.ColorNamePrimary
		}
		part.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Choice) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.content) }
