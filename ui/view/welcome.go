package view

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/core/client"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

const columnWidth = 460

// mark is the app's icon in a size.
func mark(size float32) fyne.CanvasObject {
	img := canvas.NewImageFromResource(theme.AppMark())
	img.FillMode = canvas.ImageFillContain
	img.SetMinSize(fyne.NewSquareSize(size))
	return container.NewCenter(img)
}

func heading(text string) *widgets.Line {
	return widgets.NewLine(text, fynetheme.SizeNameHeadingText).Bold().Centered()
}

// newWelcomeView asks for a server.
func newWelcomeView(w *Window) (fyne.CanvasObject, fyne.Focusable) {
	c := w.app.Welcome
	entry := widgets.NewEntry("qpc://")
	field := widgets.NewField("Invite link", entry, "")
	next := primary("Continue", c.Continue)
	entry.OnChanged = c.SetLink
	entry.OnSubmitted = func(string) { c.Continue() }

	subtitle := "Private conversations on a server of your choice."
	if c.Notice() != "" {
		subtitle = c.Notice()
	}
	body := widgets.Column(
		0,
		mark(76), widgets.Gap(18), heading("Welcome to quicprochat"), widgets.Gap(8),
		widgets.NewParagraph(subtitle).Centered(),
		widgets.Gap(34),
		section("Join a server", "Paste the invite link that you were given."),
		widgets.Gap(14), field, widgets.Gap(12), next,
	)
	if w.app.Hosting.Possible() {
		body.Add(widgets.Gap(26))
		body.Add(orRule())
		body.Add(widgets.Gap(22))
		body.Add(hostCard(w))
	}
	screen := newPage(columnWidth, body)
	field.OnResized = screen.relayout
	c.OnChange = func() {
		field.SetProblem(c.Problem())
		setEnabled(next, c.CanContinue())
		setCaption(next, "Continue")
		switch s := c.Server(); {
		case s != nil:
			field.SetHint(serverHint(*s), true)
		case c.Probing():
			field.SetHint("Asking the server…", false)
		default:
			field.SetHint("", false)
		}
	}
	c.OnChange()
	return screen.content, entry
}

func serverHint(s client.ServerInfo) string {
	name := s.Name
	if name == "" {
		name = "The server"
	}
	if s.Registration == client.RegistrationClosed {
		return name + " is there. It takes no new accounts, but you can log in."
	}
	return name + " is there."
}

func section(title, text string) fyne.CanvasObject {
	return widgets.Column(4, widgets.NewLine(title, theme.SizeTitle).Bold(), widgets.NewParagraph(text))
}

// orRule is the word "or" between two lines.
func orRule() fyne.CanvasObject {
	word := widgets.NewLine("or", theme.SizeSmall).Muted()
	line := func() fyne.CanvasObject { return container.NewVBox(widgets.NewRule()) }
	return container.New(splitRule{}, line(), word, line())
}

// splitRule lays out a line, a word in the middle, and another line.
type splitRule struct{}

func (splitRule) MinSize(o []fyne.CanvasObject) fyne.Size { return o[1].MinSize() }

func (splitRule) Layout(o []fyne.CanvasObject, size fyne.Size) {
	word := o[1].MinSize()
	side := (size.Width-word.Width)/2 - 12
	for i, x := range map[int]float32{0: 0, 2: size.Width - side} {
		o[i].Resize(fyne.NewSize(side, 1))
		o[i].Move(fyne.NewPos(x, size.Height/2))
	}
	o[1].Resize(word)
	o[1].Move(fyne.NewPos((size.Width-word.Width)/2, 0))
}

// hostCard offers to host, and leads to the link once that works.
func hostCard(w *Window) fyne.CanvasObject {
	h := w.app.Hosting
	const idle = "Start a server inside this app and invite others."
	title := widgets.NewLine("Host on this computer", fynetheme.SizeNameText).Bold()
	note := widgets.NewParagraph(idle)
	icon := widget.NewIcon(theme.ColoredIcon(theme.IconComputer, fynetheme.ColorNamePrimary))
	card := widgets.NewTappable(widgets.Inset(16, 18, widgets.StretchRow(16, 1,
		container.NewGridWrap(fyne.NewSquareSize(28), icon), widgets.Column(4, title, note))), nil)
	card.Stroke = fynetheme.ColorNameInputBorder
	card.Radius = 14
	card.OnTapped = h.Start
	h.OnChange = func() {
		card.SetEnabled(!h.Busy())
		switch {
		case h.Busy():
			note.SetText("Starting the server…")
		case h.Problem() != "":
			note.SetText(h.Problem())
			note.SetColor(fynetheme.ColorNameError)
		default:
			note.SetText(idle)
			note.SetColor(theme.ColorMuted)
		}
		if h.Link() != "" && !h.Busy() {
			w.showHosted()
		}
	}
	return card
}

// showHosted shows the link of the server that has just been started.
func (w *Window) showHosted() {
	h := w.app.Hosting
	h.OnChange = nil
	next := primary("Continue", func() {
		w.app.Welcome.SetLink(h.Link())
		w.app.Welcome.Continue()
	})
	problem := widgets.NewParagraph("").Centered()
	problem.SetColor(fynetheme.ColorNameError)
	w.app.Welcome.OnChange = func() {
		problem.SetText(w.app.Welcome.Problem())
		setEnabled(next, w.app.Welcome.CanContinue() && !w.app.Welcome.Probing())
	}
	w.win.SetContent(newPage(columnWidth,
		mark(56), widgets.Gap(16), heading("Your server is running"), widgets.Gap(8),
		widgets.NewParagraph("Whoever has this link can make an account on your server. The server runs while this app is open.").Centered(),
		widgets.Gap(24), container.NewCenter(widgets.NewQR(h.Link(), 220)),
		widgets.Gap(20), linkRow(w, h.Link()), widgets.Gap(24), next, widgets.Gap(8), problem,
	).content)
}

// linkRow shows a link with a button that copies it.
func linkRow(w *Window, link string) fyne.CanvasObject {
	text := widgets.NewLine(link, theme.SizeSmall).Truncated()
	text.Style.Monospace = true
	button := widgets.NewIconTextButton("Copy", theme.Icon(theme.IconCopy), nil)
	button.OnTapped = func() {
		fyne.CurrentApp().Clipboard().SetContent(link)
		button.SetText("Copied")
		w.app.Loop().After(copiedFor, func() { button.SetText("Copy") })
	}
	box := widgets.NewTappable(widgets.Inset(11, 14, text), button.OnTapped)
	box.Fill, box.HoverFill = fynetheme.ColorNameInputBackground, fynetheme.ColorNameInputBackground
	box.Stroke = fynetheme.ColorNameInputBorder
	return widgets.StretchRow(10, 0, box, button)
}
