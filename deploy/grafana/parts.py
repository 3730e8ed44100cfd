"""Building blocks of the dashboards: queries, panels in one style, variables, annotations and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import prometheus as queries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SCHEMA_VERSION = 41
"""Of Grafana 12; newer ones bring it up to date as they load it, older ones ignore what they do not know."""

FLEET, STREAM = "driftwatch-fleet", "driftwatch-stream"
TAG = "driftwatch"
SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'job=~"$job", instance=~"$instance"'
"""What every query is narrowed down to."""

OF_STREAM = f'{CHOSEN}, stream="$stream"'
LEAST_P = 1e-15
"""P-values below are drawn there: a logarithmic axis knows no zero."""

Panel = Builder[dashboard.Panel]
Steps = Sequence[tuple[float | None, str]]


class _PrometheusAnnotation(dashboard.AnnotationQuery):
    """The SDK's model lacks the fields of this data source."""

    extra: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self.extra}


class Marks(Builder[dashboard.AnnotationQuery]):
    """Marks of the times at which a query has a value; texts may name labels as ``{{label}}``."""

    def __init__(self, name: str, expr: str, colour: str, title: str, text: str) -> None:
        self._made = _PrometheusAnnotation(name=name, datasource=SOURCE, icon_color=colour, expr=expr)
        self._made.extra = {"titleFormat": title, "textFormat": text, "step": "15s", "tagKeys": "stream"}

    def build(self) -> dashboard.AnnotationQuery:
        """Asked for by the dashboard."""
        return self._made


def query(expr: str, legend: str = "", *, ref: str = "A", instant: bool = False, kind: str = "") -> queries.Dataquery:
    """A query over the time range, or of the newest values alone; `kind` is table or heatmap if it is no line."""
    made = queries.Dataquery().expr(expr).ref_id(ref).datasource(SOURCE)
    made = made.instant() if instant else made.range()
    if legend:
        made = made.legend_format(legend)
    return made.format(PromQueryFormat(kind)) if kind else made


def lines(
    title: str,
    about: str,
    *targets: queries.Dataquery,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    fill: int = 10,
    extreme: Literal["max", "min"] = "max",
) -> timeseries.Panel:
    """Lines over time, with their last and their extreme values in the legend."""
    legend = (
        build.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", extreme])
    )
    return (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .targets(list(targets))
        .unit(unit)
        .span(width)
        .height(height)
        .legend(legend)
        .tooltip(build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
        .line_width(2)
        .fill_opacity(fill)
        .show_points(common.VisibilityMode.NEVER)
    )


def logarithmic(panel: timeseries.Panel) -> timeseries.Panel:
    """The same with a logarithmic axis."""
    return panel.scale_distribution(build.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10))


def limit_line(panel: timeseries.Panel, ref: str) -> timeseries.Panel:
    """Draws one query as a dashed red line: a limit, not a measurement."""
    return panel.override_by_query(
        ref,
        [
            dashboard.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 8]}),
            dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
            dashboard.DynamicConfigValue("custom.fillOpacity", 0),
        ],
    )


def bars(panel: timeseries.Panel) -> timeseries.Panel:
    """The same as stacked bars, of a minute or more: for what is counted over ``$__rate_interval``.

    That is one scrape longer than the time from bar to bar, so that an increase between two bars is in one of them.
    """
    stacked = build.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
    return panel.interval("1m").draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).stacking(stacked)


def figure(
    title: str,
    about: str,
    target: queries.Dataquery,
    *,
    unit: str = "short",
    steps: Steps = ((None, "text"),),
    graph: bool = True,
    decimals: int | None = None,
) -> stat.Panel:
    """One number at the top of a dashboard."""
    made = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .unit(unit)
        .span(4)
        .height(4)
        .thresholds(thresholds(steps))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA if graph else common.BigValueGraphMode.NONE)
        .reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return made if decimals is None else made.decimals(decimals)


def states(
    title: str, about: str, target: queries.Dataquery, words: dict[str, tuple[str, str]], *, width: int, height: int
) -> statetimeline.Panel:
    """Coloured bands over time; `words` gives the text and the colour of each value."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .span(width)
        .height(height)
        .mappings([mapping(words)])
        .thresholds(thresholds([(None, "text")]))
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(85)
    )


def rows(title: str, about: str, *targets: queries.Dataquery, width: int = 24, height: int = 8) -> table.Panel:
    """A table: one query for each column, put together by the labels that they share."""
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .targets(list(targets))
        .span(width)
        .height(height)
        .show_header(True)
        .with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    )


def columns(panel: table.Panel, names: dict[str, str], hidden: Sequence[str] = ("Time",)) -> table.Panel:
    """Orders and names the columns of a table; those of queries are called ``Value #A``."""
    options = {
        "excludeByName": dict.fromkeys(hidden, True),
        "indexByName": {name: place for place, name in enumerate(names)},
        "renameByName": {name: title for name, title in names.items() if name != title},
    }
    return panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=options))


def column(panel: table.Panel, name: str, **properties: Any) -> table.Panel:
    """Sets properties of a table's column: dots in their names are written as double underscores."""
    values = [dashboard.DynamicConfigValue(key.replace("__", "."), value) for key, value in properties.items()]
    return panel.override_by_name(name, values)


def scores(title: str, about: str, target: queries.Dataquery, *, width: int, height: int) -> heatmap.Panel:
    """A heat map of a Prometheus histogram over time."""
    colours = (
        heatmap.HeatmapColorOptions()
        .mode(heat.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .scale(heat.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
        .reverse(False)
    )
    return (
        heatmap.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .span(width)
        .height(height)
        .calculate(False)
        .color(colours)
        .cell_gap(0)
        .hide_from(build.HideSeriesConfig().legend(False).tooltip(False).viz(False))
        .y_axis(heatmap.YAxisConfig().unit("short").axis_label("nats"))
        .show_legend()
    )


def gauges(title: str, about: str, target: queries.Dataquery, *, unit: str, width: int, height: int) -> bargauge.Panel:
    """Horizontal bars of the newest values."""
    return (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(target)
        .unit(unit)
        .span(width)
        .height(height)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .thresholds(thresholds([(None, "blue")]))
        .reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def thresholds(steps: Steps) -> boards.ThresholdsConfig:
    """Colours from values on; the first one has no value."""
    made = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    return boards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def mapping(words: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Text and colour of values."""
    return dashboard.ValueMap(
        {
            value: dashboard.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(words.items())
        }
    )


def source_variable() -> boards.DatasourceVariable:
    """Which Prometheus."""
    return boards.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def label_variable(name: str, title: str, expr: str, *, several: bool) -> boards.QueryVariable:
    """The values of a label; all of them if `several`."""
    asked: dict[str, object] = {"qryType": 1, "query": expr, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    made = (
        boards.QueryVariable(name)
        .label(title)
        .datasource(SOURCE)
        .query(asked)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if not several:
        return made
    return (
        made.multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def daemon_variables() -> list[Builder[dashboard.VariableModel]]:
    """Which Prometheus, and which daemons it scrapes."""
    return [
        source_variable(),
        label_variable("job", "Job", "label_values(driftwatch_build_info, job)", several=True),
        label_variable(
            "instance", "Instance", 'label_values(driftwatch_build_info{job=~"$job"}, instance)', several=True
        ),
    ]


def to_stream(label: str) -> dict[str, object]:
    """A link from a value to its stream's dashboard; `label` is the variable that holds the stream's name."""
    url = f"/d/{STREAM}/?var-stream=${{{label}:percentencode}}&${{datasource:queryparam}}&${{job:queryparam}}"
    return {"title": "Show ${" + label + "}", "url": f"{url}&${{instance:queryparam}}&${{__url_time_range}}"}


def link(title: str, uid: str) -> boards.DashboardLink:
    """A link at the top of a dashboard to the other one."""
    return (
        boards.DashboardLink(title)
        .type(dashboard.DashboardLinkType.LINK)
        .icon("dashboard")
        .url(f"/d/{uid}/")
        .include_vars(True)
        .keep_time(True)
    )


def board(uid: str, title: str, about: str) -> boards.Dashboard:
    """An empty dashboard."""
    return (
        boards.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG])
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .editable()
    )


def finished(made: boards.Dashboard) -> dashboard.Dashboard:
    """The dashboard, with a number for each panel that stays the same."""
    built = made.build()
    built.schema_version = SCHEMA_VERSION
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
    return built
