package view

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"quicprochat/ui/controller"
	"quicprochat/ui/theme"
	"quicprochat/ui/widgets"
)

const title = "quicprochat"

// Default size of the window.
const (
	DefaultWidth  = 1040
	DefaultHeight = 720
)

// Window shows an App.
type Window struct {
	app  *controller.App
	win  fyne.Window
	quit func()

	main *mainView
}

// New prepares a window for an app; quit is called for Ctrl+Q and when the
// window is closed.
func New(win fyne.Window, app *controller.App, quit func()) *Window {
	w := &Window{app: app, win: win, quit: quit}
	win.SetTitle(title)
	win.SetIcon(theme.AppIcon())
	win.SetPadded(false)
	width, height := float32(DefaultWidth), float32(DefaultHeight)
	if p := app.Preferences; p.Width >= 480 && p.Height >= 360 {
		width, height = p.Width, p.Height
	}
	win.Resize(fyne.NewSize(width, height))
	win.SetCloseIntercept(w.close)
	app.OnScreen = w.show
	app.OnTheme = func(name string) { fyne.CurrentApp().Settings().SetTheme(theme.New(theme.ParseMode(name))) }
	w.keys()
	return w
}

// Show puts the window on the screen.
func (w *Window) Show() { w.win.Show() }

// SetActive tells whether the window has the user's attention.
func (w *Window) SetActive(on bool) {
	if w.app.Main != nil {
		w.app.Main.SetActive(on)
	}
}

func (w *Window) close() {
	size := w.win.Canvas().Size()
	w.app.RememberSize(size.Width, size.Height)
	w.quit()
}

func (w *Window) show(s controller.Screen) {
	for sheet := widgets.TopSheet(w.win.Canvas()); sheet != nil; sheet = widgets.TopSheet(w.win.Canvas()) {
		sheet.Close()
	}
	var content fyne.CanvasObject
	var focus fyne.Focusable
	switch s {
	case controller.ScreenWelcome:
		content, focus = newWelcomeView(w)
	case controller.ScreenAccount:
		content, focus = newAccountView(w)
	case controller.ScreenRecover:
		content, focus = newRecoverView(w)
	case controller.ScreenUnlock:
		content, focus = newUnlockView(w)
	case controller.ScreenMain:
		w.main = newMainView(w)
		content = w.main.content
	}
	w.win.SetContent(content)
	if focus != nil {
		w.win.Canvas().Focus(focus)
	}
}

// keys are the window's own.
func (w *Window) keys() {
	on := func(key fyne.KeyName, f func()) {
		w.win.Canvas().AddShortcut(&desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}, func(fyne.Shortcut) { f() })
	}
	inMain := func(f func(*mainView)) func() {
		return func() {
			if w.app.Screen() == controller.ScreenMain && widgets.TopSheet(w.win.Canvas()) == nil {
				f(w.main)
			}
		}
	}
	on(fyne.KeyN, inMain((*mainView).newChat))
	on(fyne.KeyG, inMain((*mainView).newGroup))
	on(fyne.KeyK, inMain((*mainView).focusSearch))
	on(fyne.KeyF, inMain((*mainView).focusSearch))
	on(fyne.KeyM, inMain((*mainView).conversationMenu))
	on(fyne.KeyComma, inMain((*mainView).settings))
	on(fyne.KeyQ, w.close)
	w.win.Canvas().SetOnTypedKey(func(k *fyne.KeyEvent) {
		if k.Name == fyne.KeyEscape {
			w.escape()
			return
		}
		if w.main != nil && w.app.Screen() == controller.ScreenMain {
			w.main.key(k.Name)
		}
	})
}

// escape closes what is on top, or else ends a search.
func (w *Window) escape() {
	if sheet := widgets.TopSheet(w.win.Canvas()); sheet != nil {
		sheet.Dismiss()
		return
	}
	if w.app.Screen() == controller.ScreenMain {
		w.main.endSearch()
	} else {
		w.app.Back()
	}
}

// setUnread puts the number of unread messages into the title.
func (w *Window) setUnread(n int) {
	t := title
	if n > 0 {
		t = fmt.Sprintf("(%d) %s", n, title)
	}
	if w.win.Title() != t {
		w.win.SetTitle(t)
	}
}

// page is a screen of one centred column on the app's ground, which scrolls
// where the window is too small for it.
type page struct {
	content *fyne.Container
	column  *fyne.Container
	scroll  *container.Scroll
}

func newPage(width float32, objects ...fyne.CanvasObject) *page {
	p := &page{column: widgets.CenterColumn(width, widgets.Inset(32, 24, widgets.Column(0, objects...)))}
	p.scroll = container.NewVScroll(p.column)
	p.content = container.NewStack(widgets.NewGround(fynetheme.ColorNameBackground), p.scroll)
	return p
}

// relayout makes room for something that needs more than before.
func (p *page) relayout() {
	p.column.Refresh()
	p.scroll.Refresh()
}

// primary is the button for what a screen is for.
func primary(text string, onTapped func()) *widgets.Button {
	b := widgets.NewButton(text, onTapped)
	b.Importance = widget.HighImportance
	return b
}

// quiet is a button that looks like text.
func quiet(text string, onTapped func()) *widgets.Button {
	b := widgets.NewButton(text, onTapped)
	b.Importance = widget.LowImportance
	return b
}

func setEnabled(b *widgets.Button, on bool) {
	switch {
	case on && b.Disabled():
		b.Enable()
	case !on && !b.Disabled():
		b.Disable()
	}
}

func setCaption(b *widgets.Button, text string) {
	if b.Text != text {
		b.SetText(text)
	}
}

func setVisible(o fyne.CanvasObject, on bool) {
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}

// relayout lays a container out again without drawing its content anew.
func relayout(c *fyne.Container) {
	if size := c.Size(); size.Width > 0 {
		c.Layout.Layout(c.Objects, size)
	}
}

// frame puts one object on top, one at the bottom and one between, without the
// padding that the toolkit's border layout has.
type frame struct{}

func newFrame(top, middle, bottom fyne.CanvasObject) *fyne.Container {
	return container.New(frame{}, top, middle, bottom)
}

func (frame) heights(o []fyne.CanvasObject) (top, bottom float32) {
	if o[0].Visible() {
		top = o[0].MinSize().Height
	}
	if o[2].Visible() {
		bottom = o[2].MinSize().Height
	}
	return top, bottom
}

func (f frame) MinSize(o []fyne.CanvasObject) fyne.Size {
	top, bottom := f.heights(o)
	middle := o[1].MinSize()
	return fyne.NewSize(max(o[0].MinSize().Width, middle.Width, o[2].MinSize().Width), top+middle.Height+bottom)
}

func (f frame) Layout(o []fyne.CanvasObject, size fyne.Size) {
	top, bottom := f.heights(o)
	place := func(o fyne.CanvasObject, y, height float32) {
		o.Resize(fyne.NewSize(size.Width, height))
		o.Move(fyne.NewPos(0, y))
	}
	place(o[0], 0, top)
	place(o[1], top, max(size.Height-top-bottom, 0))
	place(o[2], size.Height-bottom, bottom)
}
