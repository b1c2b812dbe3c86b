(() => {
  const root = document.documentElement;
  const radios = document.querySelectorAll(".toggle");
  const sections = [...document.querySelectorAll("main section, main header")];
  const links = [...document.querySelectorAll(".contents a")];
  const reading = () => sections.filter(s => s.getBoundingClientRect().top < innerHeight * 0.4).pop() || sections[0];
  let place = null;
  const keep = () => { const s = reading(); place = [s, s.getBoundingClientRect().top]; };
  const tell = () => {
    const now = document.querySelector(".toggle:checked").value;
    root.lang = now === "zh" ? "zh-CN" : "en";
    document.title = root.dataset[now];
    if (place) { scrollBy({ top: place[0].getBoundingClientRect().top - place[1], behavior: "instant" }); }
  };
  const mark = () => {
    const id = reading().id;
    for (const a of links) {
      const here = a.hash === "#" + id;
      if (here === (a.getAttribute("aria-current") === "true")) { continue; }
      if (here) {
        a.setAttribute("aria-current", "true");
        const list = a.closest("ol");
        list.scrollTo({ left: a.offsetLeft - list.clientWidth / 3, behavior: "smooth" });
      } else { a.removeAttribute("aria-current"); }
    }
  };
  addEventListener("scroll", () => requestAnimationFrame(() => { mark(); keep(); }), { passive: true });
  for (const radio of radios) { radio.addEventListener("change", tell); }
  tell(); mark(); keep();
})();
