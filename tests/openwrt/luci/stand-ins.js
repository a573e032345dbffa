// Stands in for the parts of LuCI that our views use (openwrt.github.io/luci/jsapi), so that they can
// be run in a browser without a router. `recordedRounds` has what ubus answers, one round of polling
// after the other. Text handling is LuCI's: a bare string is HTML, one in an array is text.

globalThis._ = (text) => text;

String.prototype.format = function (...values) {
  const kinds = /%(%|\.?(\d+)?([dfsm]))/g;
  return this.replace(kinds, (whole, _spec, digits, kind) => {
    if (whole === "%%") return "%";
    const value = values.shift();
    if (kind === "d") return String(Math.floor(value));
    if (kind === "f") return Number(value).toFixed(digits ?? 6);
    return kind === "m" ? withPrefix(Number(value), Number(digits ?? 2)) : String(value);
  });
};

function withPrefix(value, digits) {
  const prefixes = ["", "K", "M", "G", "T"];
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), prefixes.length - 1);
  return `${(value / 1000 ** power).toFixed(digits)} ${prefixes[power]}`;
}

globalThis.dom = {
  content(node, children) {
    node.replaceChildren();
    this.append(node, children);
  },

  append(node, children) {
    if (Array.isArray(children)) {
      for (const child of children) {
        if (child == null) continue;
        node.appendChild(child instanceof Node ? child : document.createTextNode(`${child}`));
      }
    } else if (children instanceof Node) node.appendChild(children);
    else if (children != null) node.innerHTML = `${children}`;
  },
};

globalThis.E = (name, attributes, children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) node.setAttribute(key, value);
  dom.append(node, children);
  return node;
};

globalThis.view = { extend: (members) => members };

let round = 0;
const polls = [];

/** `expect` is one name and what is answered in its place when the call fails. */
globalThis.rpc = {
  declare:
    ({ object, method, params = [], expect }) =>
    async (...values) => {
      if (values.length !== params.length) throw new Error(`${object} ${method} takes ${params}`);
      const answers = recordedRounds[Math.min(round, recordedRounds.length - 1)];
      const [name, otherwise] = Object.entries(expect)[0];
      const answer = answers[object]?.[method];
      return (name === "" ? answer : answer?.[name]) ?? otherwise;
    },
};

globalThis.poll = {
  add(task, seconds) {
    polls.push({ task, seconds });
  },
};

class StandInOption {
  constructor(section, type, name, title, description) {
    Object.assign(this, { section, type, name, title, description, choices: [] });
  }

  value(word, text) {
    this.choices.push([word, text]);
  }

  formvalue() {
    return "";
  }

  field() {
    if (this.type === "Flag") {
      return E("input", { type: "checkbox", ...(this.default === "1" ? { checked: "" } : {}) });
    }
    if (this.type === "ListValue") {
      return E(
        "select",
        {},
        this.choices.map(([word, text]) => E("option", { value: word }, [text])),
      );
    }
    return E("input", { type: "text", placeholder: this.placeholder ?? "" });
  }
}

class StandInSection {
  constructor(name, type, title, description) {
    Object.assign(this, { name, type, title, description, tabs: [], options: [] });
  }

  tab(name, title) {
    this.tabs.push([name, title]);
  }

  option(type, name, title, description) {
    return this.taboption(null, type, name, title, description);
  }

  taboption(tab, type, name, title, description) {
    if (tab !== null && !this.tabs.some(([known]) => known === tab)) {
      throw new Error(`${this.name} has no tab ${tab}`);
    }
    const option = new StandInOption(this, type, name, title, description);
    option.tab = tab;
    this.options.push(option);
    return option;
  }
}

class StandInMap {
  constructor(config, title, description) {
    Object.assign(this, { config, title, description, sections: [] });
    globalThis.lastMap = this;
  }

  section(_kind, name, type, title, description) {
    const section = new StandInSection(name, type, title, description);
    this.sections.push(section);
    return section;
  }

  render() {
    if (globalThis.document === undefined) return null;
    return E("div", { class: "cbi-map" }, [
      E("h2", {}, [this.title]),
      E("p", {}, [this.description]),
      ...this.sections.map(renderSection),
    ]);
  }
}

function renderSection(section) {
  const groups = section.tabs.length > 0 ? section.tabs : [[null, null]];
  return E("fieldset", { class: "cbi-section" }, [
    E("h3", {}, [section.title]),
    section.description === undefined ? null : E("p", {}, [section.description]),
    ...groups.flatMap(([tab, title]) => [
      title === null ? null : E("h4", {}, [title]),
      ...section.options.filter((option) => option.tab === tab).map(renderOption),
    ]),
  ]);
}

function renderOption(option) {
  return E("div", { class: "cbi-value", "data-option": `${option.section.name}.${option.name}` }, [
    E("label", {}, [option.title]),
    option.field(),
    E("small", {}, [option.description ?? ""]),
  ]);
}

globalThis.form = {
  Map: StandInMap,
  NamedSection: "NamedSection",
  ...Object.fromEntries(["Value", "Flag", "ListValue", "DynamicList"].map((type) => [type, type])),
};

/** Runs a view as LuCI does, then one round of polling for each round of answers after the first. */
globalThis.showView = async (source, target) => {
  const requires = [...source.matchAll(/^'require (\w+)';$/gm)].map(([, name]) => name);
  for (const name of requires) {
    if (globalThis[name] === undefined) throw new Error(`no stand-in for ${name}`);
  }
  const members = new Function(...requires, source)(...requires.map((name) => globalThis[name]));
  const node = await members.render(await members.load?.());
  target?.replaceChildren(node);
  for (round = 1; round < recordedRounds.length; round += 1) {
    for (const { task } of polls) await task();
  }
};
